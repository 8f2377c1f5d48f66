"""Runs one job of a study: trains its classifier, measures it, and writes what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from imaginate.evaluation import clip_baselines
from imaginate.evaluation.job import HISTORY, PREDICTIONS, RESULT, Job
from imaginate.evaluation.statistics import class_accuracy
from imaginate.runs import Values
from imaginate.training import checkpoint
from imaginate.training.distributed import SOLO, Team
from imaginate.training.folder import WEIGHTS, save_arrays, save_weights, write_json
from imaginate.training.loop import Trained, fit
from imaginate.training.plan import TrainPlan, arithmetic
from imaginate.training.predict import rank


def run_job(job: Job, advance: Callable[[int], None] = lambda _: None, team: Team = SOLO) -> Values:
    """Train (or go on training), measure on the held-out images once, write predictions, history and the marker."""
    trained, plan = _train(job, advance, team)
    model, state = trained.model, trained.state
    if not team.main:
        return {}
    found = rank(plan, model, job.held_out)
    label = job.held_out.label
    correct = found.label == label
    arrays: dict[str, np.ndarray] = {"label": label, "predicted": found.label}
    arrays |= {"ranked": found.ranked, "probability": found.probability}
    if job.corrupting is not None:
        from imaginate.evaluation.corruption import corruption_correct

        right = corruption_correct(plan, model, job.held_out, job.corrupting.rows, job.corrupting.severities)
        arrays |= {"corruption_rows": job.corrupting.rows, "corruption_correct": right}
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
        save_weights(job.folder / WEIGHTS, model)
    write_json(job.folder / RESULT, result)
    checkpoint.drop(job.folder)
    return result


def _train(job: Job, advance: Callable[[int], None], team: Team) -> tuple[Trained, TrainPlan]:
    """The classifier of an arm, by its kind, and the plan by which it was trained."""
    if job.kind.startswith("clip-"):
        return clip_baselines.train(job, advance, team)
    plan = replace(job.plan, augment="strong") if job.kind == "online-aug" else job.plan
    return fit(plan, job.train, job.validation, job.folder, advance=advance, team=team), plan
