"""Published weights, tuned end to end: the bundled EfficientNet-lite0, any network of timm, a local folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.training.augment import RAW
from imaginate.training.distributed import Team
from imaginate.training.learners.core.networks import DEFAULT, HeadedNetwork, check_backbone, size_of
from imaginate.training.loop import Trained, fit
from imaginate.training.plan import TrainPlan
from imaginate.training.recipes import Recipe
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    from torch import nn

# A few hundred updates are enough for published weights; more images get more.
RECIPE = Recipe(epochs=15, batch=32, least=300, lr=0.01, weight_decay=1e-4)


class Finetune:
    """A backbone with a new head; all weights learn, the head ten times faster."""

    sees_views, starts_trained = True, True
    mean, std = RAW  # the network normalises

    def __init__(self, model: str, *, pretrained: bool = False) -> None:
        self.model, self.recipe = model or DEFAULT, RECIPE

    @property
    def size(self) -> int:
        """112 px for the bundled backbone, else the size that the weights were trained at."""
        return size_of(self.model)

    def check(self) -> None:
        """Refuse a backbone that there is not."""
        check_backbone(self.model)

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """The backbone with a head of zeros."""
        return HeadedNetwork(self.model, classes, tunable=True, untrained=untrained)

    def train(
        self,
        plan: TrainPlan,
        train: TrainingSet,
        validation: TrainingSet | None,
        folder: Path,
        *,
        advance: Callable[[int], None],
        team: Team,
    ) -> Trained:
        """By updates, as the plan says."""
        return fit(
            plan, train, validation, folder, advance=advance, team=team, build=lambda: self.build(plan.classes)
        )  # fmt: skip
