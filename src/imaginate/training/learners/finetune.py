"""Published weights, tuned end to end: the bundled EfficientNet-lite0, any network of timm, a local folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.training.learners.core.kinds import ByUpdates, OnBackbone
from imaginate.training.learners.core.networks import HeadedNetwork
from imaginate.training.recipes import Recipe

if TYPE_CHECKING:
    from torch import nn

# A few hundred updates are enough for published weights; more images get more.
RECIPE = Recipe(epochs=15, batch=32, least=300, lr=0.01, weight_decay=1e-4)


class Finetune(OnBackbone, ByUpdates):
    """A backbone with a new head; all weights learn, the head ten times faster."""

    recipe = RECIPE

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """The backbone with a head of zeros."""
        return HeadedNetwork(self.model, classes, tunable=True, untrained=untrained)
