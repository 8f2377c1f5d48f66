"""What distances between two sets of features share: `real` (n, d) and `fake` (m, d) of one extractor, any floating
type; numbers of different extractors cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CHUNK = 1024


def features_as_they_are(width: int) -> Module:
    """A module that hands features through: what torchmetrics takes in the place of Inception."""
    import torch

    module = torch.nn.Identity()
    setattr(module, "num_features", width)  # noqa: B010 (a plain assignment is not what Module's type allows)
    return module


def check_pair(real: Tensor, fake: Tensor, *, least: int) -> None:
    if min(len(real), len(fake)) < least:
        raise ConfigError(f"a distribution needs at least {least} images on each side, got {len(real)} and {len(fake)}")
    if real.shape[1] != fake.shape[1]:
        widths = f"{real.shape[1]} and {fake.shape[1]}"
        raise ConfigError(f"both sides must have features of one extractor, got widths {widths}")


def check_neighbours(real: Tensor, fake: Tensor, k: int) -> None:
    check_pair(real, fake, least=2)
    if not 0 < k < min(len(real), len(fake)):
        raise ConfigError(f"k must be in [1, {min(len(real), len(fake)) - 1}] for this many images, got {k}")
