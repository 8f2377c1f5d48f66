"""From drawn weights: `small`, or any network of timm; with `--pretrained` from timm's published weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.training.architectures import (
    FIRST_SMALL,
    SMALL,
    build_classifier,
    check_arch,
    published_input,
)
from imaginate.training.augment import IMAGENET
from imaginate.training.learners.core.kinds import ByUpdates
from imaginate.training.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from torch import nn

SIZES = {SMALL: 64, FIRST_SMALL: 32}
CONVERGED = 1500  # updates that `small` needs at least, however few images there are


class Scratch(ByUpdates):
    """A network that is trained from drawn weights, until it has converged."""

    def __init__(self, model: str, *, pretrained: bool = False) -> None:
        self.model, self.starts_trained = model or SMALL, pretrained
        own = published_input(self.model) if pretrained else None
        self.mean, self.std = (own.mean, own.std) if own else IMAGENET
        self.size = own.size if own else SIZES.get(self.model, 224)

    @property
    def recipe(self) -> Recipe:
        """The default schedule; `small` gets enough updates to converge."""
        return Recipe(least=CONVERGED) if self.model == SMALL else RECIPES["default"]

    def check(self) -> None:
        """ConfigError for a network that timm has not, or published weights that there are not."""
        check_arch(self.model, self.starts_trained)

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """The network, its weights drawn from the seed."""
        return build_classifier(self.model, classes, pretrained=self.starts_trained and not untrained, seed=seed)
