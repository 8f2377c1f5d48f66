"""What several kinds of learner share: a backbone of the guides, and training by updates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.training.augment import RAW
from imaginate.training.distributed import Team
from imaginate.training.learners.core.networks import DEFAULT, check_backbone, size_of
from imaginate.training.loop import Trained, fit
from imaginate.training.plan import TrainPlan
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    from torch import nn


class OnBackbone:
    """A learner over a backbone with published weights, which normalises its own pixels."""

    starts_trained = True
    mean, std = RAW

    def __init__(self, model: str, *, pretrained: bool = False) -> None:
        self.model = model or DEFAULT

    @property
    def size(self) -> int:
        """112 px for the bundled backbone, else the size that the weights were trained at."""
        return size_of(self.model)

    def check(self) -> None:
        """Refuse a backbone that there is not."""
        check_backbone(self.model)


class ByUpdates:
    """A learner that sees its images again and again."""

    sees_views = True

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """The classifier before its first update."""
        raise NotImplementedError

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
            plan, train, validation, folder, advance=advance, team=team,
            build=lambda: self.build(plan.classes, seed=plan.seed),
        )  # fmt: skip
