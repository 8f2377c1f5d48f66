"""One unit of a study: one classifier trained and measured. A job is picklable, so Ray can carry it to a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imaginate.evaluation.statistics import class_accuracy
from imaginate.files import replace_file
from imaginate.records import LabelSpace
from imaginate.training import checkpoint
from imaginate.training.distributed import SOLO, Team
from imaginate.training.folder import save_arrays, write_json
from imaginate.training.loop import State, fit
from imaginate.training.plan import TrainPlan, arithmetic
from imaginate.training.predict import predict
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    from torch import nn

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
    images: dict[str, Any]
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


def run_job(job: Job, advance: Callable[[int], None] = lambda _: None, team: Team = SOLO) -> dict[str, Any]:
    """Train (or go on training), measure on the held-out images once, write predictions, history and the marker."""
    model, state, plan = _classifier(job, advance, team)
    if not team.main:
        return {}
    predicted = predict(plan, model, job.held_out)
    label = job.held_out.label
    correct = predicted == label
    arrays: dict[str, np.ndarray] = {"label": label, "predicted": predicted}
    if job.corrupting is not None:
        from imaginate.evaluation.corruption import corruption_correct

        found = corruption_correct(plan, model, job.held_out, job.corrupting.rows, job.corrupting.severities)
        arrays |= {"corruption_rows": job.corrupting.rows, "corruption_correct": found}
    save_arrays(job.folder / PREDICTIONS, arrays)
    write_json(job.folder / HISTORY, state.history)
    each = class_accuracy(correct[None], label, plan.classes)[0]
    result = {
        "arm": job.arm, "seed": job.seed, "resample": job.resample, "kind": job.kind, "images": job.images,
        "top1": float(correct.mean()), "mean_per_class": float(np.nanmean(each)),
        "per_class": [None if np.isnan(x) else round(float(x), 6) for x in each],
        "validation": state.best[0] if job.validation is not None else None,
        "corruption": float(arrays["corruption_correct"].mean()) if job.corrupting is not None else None,
        "best_update": state.best_update, "updates": state.update, "stopped_early": state.stopped,
        "epochs": round(state.update * plan.recipe.batch / max(1, len(job.train)), 2),
        "seconds": round(state.seconds, 1), "parameters": sum(p.numel() for p in model.parameters()),
        "processes": team.size, "device": plan.device, "precision": arithmetic(plan.precision, plan.device),
    }  # fmt: skip
    if job.keep_weights:
        _save_weights(model, job.folder / "weights.safetensors")
    write_json(job.folder / RESULT, result)
    checkpoint.drop(job.folder)
    return result


def _classifier(job: Job, advance: Callable[[int], None], team: Team) -> tuple[nn.Module, State, TrainPlan]:
    """The trained classifier of an arm, by its kind."""
    if job.kind in ("clip-zero-shot", "clip-probe", "clip-finetune", "clip-distill"):
        from imaginate.evaluation import clip_baselines

        return clip_baselines.classifier(job, advance, team)
    plan = replace(job.plan, augment="strong") if job.kind == "online-aug" else job.plan
    trained = fit(plan, job.train, job.validation, job.folder, advance=advance, team=team)
    return trained.model, trained.state, plan


def _save_weights(model: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    replace_file(path, lambda partial: save_file(state, partial))
