"""Runs one job of a study: trains its classifier, measures it, and writes what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from imaginate.evaluation import clip_baselines
from imaginate.evaluation.answers import read_result
from imaginate.evaluation.job import HISTORY, PREDICTIONS, RESULT, Job
from imaginate.evaluation.statistics import class_accuracy
from imaginate.runs import Values
from imaginate.training.distributed import SOLO, Team
from imaginate.training.folder import WEIGHTS, save_arrays, save_weights, write_json
from imaginate.training.learners import fit
from imaginate.training.loop import Trained
from imaginate.training.plan import TrainPlan, arithmetic
from imaginate.training.predict import rank
from imaginate.training.weighting import best_of, drop_resume_points


def run_job(job: Job, advance: Callable[[int], None] = lambda _: None, team: Team = SOLO) -> Values:
    """Train (or go on training), measure on the held-out images once, write predictions, history and the marker."""
    if job.folds:
        return _run_folds(job, advance, team)
    trained, plan, weight = _train(job, advance, team)
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

        right = corruption_correct(plan, model, job.held_out, job.corrupting)
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
        "weight_new": weight if job.train.has_new else None, "image_size": plan.size, "arch": plan.arch,
        "processes": team.size, "device": plan.device, "precision": arithmetic(plan.precision, plan.device),
    }  # fmt: skip
    if job.keep_weights:
        save_weights(job.folder / WEIGHTS, model)
    write_json(job.folder / RESULT, result)
    drop_resume_points(job.folder)
    return result


def _run_folds(job: Job, advance: Callable[[int], None], team: Team) -> Values:
    """Every fold that is not done, then one answer for every image: that of the classifier that never saw it."""
    for fold in job.folds:
        if fold.done():
            advance(fold.updates)
        else:
            run_job(fold, advance, team)
    if not team.main:
        return {}
    parts = [np.load(fold.folder / PREDICTIONS) for fold in job.folds]
    order = np.argsort(np.concatenate([fold.held_out.row for fold in job.folds]), kind="stable")
    arrays = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0].files}
    results = [read_result(fold.folder) for fold in job.folds]
    correct = arrays["predicted"] == arrays["label"]
    each = class_accuracy(correct[None], arrays["label"], job.plan.classes)[0]
    found = {
        **results[0], "images": job.images, "folds": len(results),
        "top1": float(correct.mean()), "mean_per_class": float(np.nanmean(each)),
        "per_class": [None if np.isnan(x) else round(float(x), 6) for x in each],
        "seconds": round(sum(result["seconds"] for result in results), 1),
        "stopped_early": any(result["stopped_early"] for result in results),
        **{key: _mean(results, key) for key in ("validation", "epochs", "updates", "best_update")},
    }  # fmt: skip
    save_arrays(job.folder / PREDICTIONS, arrays)
    write_json(job.folder / RESULT, found)
    return found


def _mean(results: list[Values], key: str) -> float | None:
    known = [result[key] for result in results if result[key] is not None]
    return round(float(np.mean(known)), 6) if known else None


def _train(job: Job, advance: Callable[[int], None], team: Team) -> tuple[Trained, TrainPlan, float]:
    """The classifier of an arm, by its kind, the plan by which it was trained, and the weight of its new images."""
    if job.kind.startswith("clip-"):
        return *clip_baselines.train(job, advance, team), 1.0
    plan = replace(job.plan, augment="strong") if job.kind == "online-aug" else job.plan
    trained, weight = best_of(
        job.tried, job.train, job.folder, job.validation is not None,
        lambda train, folder: fit(plan, train, job.validation, folder, advance=advance, team=team),
    )  # fmt: skip
    return trained, plan, weight
