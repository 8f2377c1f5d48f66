"""Kinds of learner, one file each; what stands before the colon of `--arch` names the file.

probe:<backbone>        a linear head on frozen features: each image is seen once, so it credits content alone
finetune:<backbone>     published weights, all of them trained on
scratch:<network>       from drawn weights; `scratch:` may be left out, as in `small` or `resnet50`
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from imaginate import registry
from imaginate.training.distributed import SOLO, Team

if TYPE_CHECKING:
    from torch import nn

    from imaginate.training.loop import Trained
    from imaginate.training.plan import TrainPlan
    from imaginate.training.recipes import Recipe
    from imaginate.training.training_set import TrainingSet

WORDS = ("probe", "finetune", "scratch")  # what --learners may be called, each with its default network
Channels = tuple[float, float, float]


class Learner(Protocol):
    """How a classifier comes from images. Built from what follows the colon; nothing is loaded before `build`."""

    sees_views: bool  # whether it sees an image again and again, augmented anew each time
    mean: Channels  # what `build`'s network expects of pixels in [0, 1]
    std: Channels

    def __init__(self, model: str, *, pretrained: bool = False) -> None: ...

    @property
    def size(self) -> int:
        """Side of its input, where the user names none."""
        ...

    @property
    def recipe(self) -> Recipe:
        """Its default schedule."""
        ...

    @property
    def starts_trained(self) -> bool:
        """Whether it starts from published weights, and so learns at a lower rate."""
        ...

    def check(self) -> None:
        """Refuse, without loading it, a network that there is not."""
        ...

    def build(self, classes: int, *, seed: int = 0, untrained: bool = False) -> nn.Module:
        """A classifier, (b, 3, s, s) normalised -> logits (b, classes); `untrained`: without its published weights."""
        ...

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
        """Train to the end, from wherever an earlier call was stopped."""
        ...


def learner_of(arch: str, *, pretrained: bool = False) -> Learner:
    """The learner that `--arch` names."""
    kind, colon, model = arch.partition(":")
    if not colon or kind not in registry.names("learners"):
        kind, model = "scratch", arch
    learner: Learner = registry.find("learners", kind)(model, pretrained=pretrained)
    return learner


def fit(
    plan: TrainPlan,
    train: TrainingSet,
    validation: TrainingSet | None,
    folder: Path,
    *,
    advance: Callable[[int], None] = lambda _: None,
    team: Team = SOLO,
) -> Trained:
    """The classifier of a plan, trained by its learner."""
    learner = learner_of(plan.arch, pretrained=plan.pretrained)
    if plan.class_weights == "balanced":
        train = train.balanced()
    return learner.train(plan, train, validation, folder, advance=advance, team=team)
