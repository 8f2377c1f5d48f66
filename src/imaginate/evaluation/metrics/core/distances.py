"""What distances between two sets of features share: `real` (n, d) and `fake` (m, d) of one extractor, any floating
type; numbers of different extractors cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.errors import ConfigError, ModelError

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


def check_finite(*sides: Tensor) -> None:
    """ModelError where features are not finite: a distance of them is no number, and rounding makes it the best one."""
    bad = sum(int((~side.isfinite().all(dim=1)).sum()) for side in sides)
    if bad:
        of = sum(map(len, sides))
        raise ModelError(
            f"{bad} of {of} images {'has' if bad == 1 else 'have'} features that are not finite (NaN or infinite): "
            "nothing can be measured with them; use another --features, or another device"
        )


def check_pair(real: Tensor, fake: Tensor, *, least: int) -> None:
    """Whether two sets of features can be compared, else an error in one line."""
    if min(len(real), len(fake)) < least:
        raise ConfigError(f"a distribution needs at least {least} images on each side, got {len(real)} and {len(fake)}")
    if real.shape[1] != fake.shape[1]:
        widths = f"{real.shape[1]} and {fake.shape[1]}"
        raise ConfigError(f"both sides must have features of one extractor, got widths {widths}")
    check_finite(real, fake)


def check_neighbours(real: Tensor, fake: Tensor, k: int) -> None:
    check_pair(real, fake, least=2)
    if not 0 < k < min(len(real), len(fake)):
        raise ConfigError(f"k must be in [1, {min(len(real), len(fake)) - 1}] for this many images, got {k}")
