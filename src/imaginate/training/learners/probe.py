"""A linear head on frozen features: a fit takes a second, and says what the images themselves are worth.

Each image is embedded once, as it is, so a probe credits content and sees harm; on-line augmentation, which helps a
learner of features, means nothing to it. The penalty of the head is chosen inside the training part.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.training.distributed import Team
from imaginate.training.learners.core.features import Features
from imaginate.training.learners.core.heads import logistic, ridge
from imaginate.training.learners.core.kinds import OnBackbone
from imaginate.training.learners.core.networks import HeadedNetwork
from imaginate.training.loop import State, Trained
from imaginate.training.plan import TrainPlan
from imaginate.training.predict import accuracy
from imaginate.training.recipes import RECIPES, Recipe
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    from torch import nn


class Probe(OnBackbone):
    """Ridge regression on one-hot labels, or multinomial logistic regression, over any backbone of the guides."""

    sees_views = False

    @property
    def recipe(self) -> Recipe:
        """There are no updates; the arms that fine-tune CLIP take theirs from here."""
        return RECIPES["default"]

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """The backbone with a head of zeros."""
        return HeadedNetwork(self.model, classes, tunable=False, untrained=untrained)

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
        """In closed form (ridge), or by L-BFGS (logistic); nothing is drawn."""
        import time

        start = time.perf_counter()
        model = HeadedNetwork(self.model, plan.classes, tunable=False, device=plan.device)
        model.features = Features(model.backbone, train.cache, plan.size)
        head = (ridge if plan.head == "ridge" else logistic)(model.features.of(train), train, plan.classes)
        model.set_head(head.weight, head.bias)
        advance(1)
        best = accuracy(plan, model, validation) if validation is not None else (-1.0, 0.0)
        seconds = time.perf_counter() - start
        history = [{"penalty": head.penalty, "left_out": head.accuracy, "seconds": round(seconds, 2)}]
        return Trained(model=model.eval(), state=State(best=best, seconds=seconds, history=history))
