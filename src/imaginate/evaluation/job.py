"""One unit of a study: one classifier trained and measured. A job is picklable, so Ray can carry it to a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaginate.records import LabelSpace
from imaginate.runs import Values
from imaginate.training.learners import learner_of
from imaginate.training.plan import TrainPlan
from imaginate.training.training_set import TrainingSet

RESULT, PREDICTIONS, HISTORY = "result.json", "predictions.npz", "history.json"


@dataclass(frozen=True, kw_only=True)
class Corrupting:
    """Which held-out images are corrupted, how strongly, and by whose constants."""

    rows: np.ndarray
    severities: tuple[int, ...]
    constants: str = "imagenet-c"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One classifier to train and to measure. `folder` is arms/<arm>/seed-<n>, with the learner's name between them
    where the study has several. `folds`: jobs whose answers together are this one's; `weights`: of a new image, the
    best of which on the validation part is kept."""

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
    clip_size: int = 0  # side at which the guide of the clip-... arms sees images; 0 for the study's own
    weights: tuple[float, ...] = (1.0,)
    folds: tuple[Job, ...] = ()
    corrupting: Corrupting | None = None
    keep_weights: bool = False

    @property
    def updates(self) -> int:
        """Updates of all that is trained for it; 1 for what is trained by no updates."""
        if self.folds:
            return sum(job.updates for job in self.folds)
        by_updates = self.sees_views and self.kind not in ("clip-zero-shot", "clip-probe")
        return self.plan.updates * len(self.tried) if by_updates else len(self.tried)

    @property
    def tried(self) -> tuple[float, ...]:
        """The weights of a new image that are tried: one where there is none."""
        return self.weights if self.train.has_new else (1.0,)

    @property
    def sees_views(self) -> bool:
        """Whether the classifier sees an image again and again."""
        return self.kind == "clip-finetune" or learner_of(self.plan.arch).sees_views

    @property
    def title(self) -> str:
        """How the progress line calls it."""
        tail = f".{self.resample}" if self.resample else ""
        return f"{self.arm}, seed {self.seed}{tail}"

    def done(self) -> bool:
        """Whether the marker is there."""
        return (self.folder / RESULT).exists()
