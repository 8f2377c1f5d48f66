"""One unit of a study: one classifier trained and measured. A job is picklable, so Ray can carry it to a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaginate.records import LabelSpace
from imaginate.runs import Values
from imaginate.training.plan import TrainPlan
from imaginate.training.training_set import TrainingSet

RESULT, PREDICTIONS, HISTORY = "result.json", "predictions.npz", "history.json"


@dataclass(frozen=True, kw_only=True)
class Corrupting:
    """Which held-out images are corrupted, and how strongly."""

    rows: np.ndarray
    severities: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One classifier to train and to measure. `folder` is arms/<arm>/seed-<n>."""

    arm: str
    kind: str
    seed: int
    resample: int
    plan: TrainPlan
    train: TrainingSet
    validation: TrainingSet | None
    held_out: TrainingSet
    folder: Path
    images: Values
    labels: LabelSpace
    clip: str = "nano"
    corrupting: Corrupting | None = None
    keep_weights: bool = False

    @property
    def title(self) -> str:
        """How the progress line calls it."""
        tail = f".{self.resample}" if self.resample else ""
        return f"{self.arm}, seed {self.seed}{tail}"

    def done(self) -> bool:
        """Whether the marker is there."""
        return (self.folder / RESULT).exists()
