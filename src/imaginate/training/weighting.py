"""How much a new image counts in the loss, against an original: one weight, or the best of several by validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.errors import ConfigError
from imaginate.training import checkpoint
from imaginate.training.loop import Trained
from imaginate.training.training_set import TrainingSet

_PLACE = "weight-"  # what the folders of the resume points begin with

if TYPE_CHECKING:
    from imaginate.training.settings import ClassifierSettings


def best_of(
    weights: Sequence[float],
    train: TrainingSet,
    folder: Path,
    validated: bool,
    fit: Callable[[TrainingSet, Path], Trained],
) -> tuple[Trained, float]:
    """The classifier with the best validation accuracy over the weights, and its weight; of equals the one that trusts
    new images most. Each weight has a resume point of its own."""
    if len(weights) == 1:
        return fit(train.weighted(weights[0]), folder), weights[0]
    if not validated:
        raise ConfigError("weight_new auto needs a validation part, and there is no image in it")
    tried = {weight: fit(train.weighted(weight), folder / f"{_PLACE}{weight:g}") for weight in weights}
    best = max(weights, key=lambda weight: (tried[weight].state.best, weight))
    return tried[best], best


def drop_resume_points(folder: Path) -> None:
    """Remove the resume points of a finished classifier, those of each weight too."""
    checkpoint.drop(folder)
    for place in folder.glob(f"{_PLACE}*"):
        checkpoint.drop(place)
        place.rmdir()


def check_weighted(settings: ClassifierSettings, validation_split: str | None = None) -> None:
    """ConfigError where a weight is to be chosen on a validation part that there is not."""
    if settings.weight_new == "auto" and settings.validation == 0 and validation_split is None:
        raise ConfigError("weight_new auto is chosen on the validation part: it needs --validation above 0")
