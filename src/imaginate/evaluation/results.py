"""results.json: what a report needs, computed again from the stored per-image answers of every finished unit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from imaginate.devices import versions
from imaginate.evaluation import statistics
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.corruption import KINDS
from imaginate.evaluation.job import PREDICTIONS, RESULT, Job
from imaginate.evaluation.protocol import FORMAT, Protocol
from imaginate.evaluation.study_images import StudyImages
from imaginate.runs import Facts, Values
from imaginate.training.folder import write_json

_UNIT = (
    "seed", "resample", "top1", "mean_per_class", "validation", "best_update", "updates", "epochs", "stopped_early",
    "seconds", "parameters", "corruption", "per_class", "processes", "device", "precision",
)  # fmt: skip
Key = tuple[int, int]


class Measured:
    """The finished units of one arm."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.units: dict[Key, Values] = {}
        self.correct: dict[Key, np.ndarray] = {}
        self.corruption: dict[Key, np.ndarray] = {}
        for job in jobs:
            if not job.done():
                continue
            key = (job.seed, job.resample)
            self.units[key] = json.loads((job.folder / RESULT).read_text(encoding="utf-8"))
            with np.load(job.folder / PREDICTIONS) as saved:
                self.label = saved["label"]
                self.correct[key] = saved["predicted"] == saved["label"]
                if "corruption_correct" in saved:
                    self.corruption[key] = saved["corruption_correct"]

    def matrix(self, keys: Sequence[Key]) -> np.ndarray:
        """(units, n) correctness, a seed's resamples averaged."""
        return statistics.by_seed(keys, np.stack([self.correct[key] for key in keys]))


def collect(
    out: Path,
    protocol: Protocol,
    arms: Sequence[Arm],
    material: StudyImages,
    jobs: Sequence[Job],
    known: dict[object, Values] | None = None,
) -> Values:
    """What results.json says of one classifier; unfinished units are listed in `missing`. `known` keeps the rows of
    arms whose units have not changed since an earlier call."""
    known = {} if known is None else known
    measured = {arm.name: Measured([job for job in jobs if job.arm == arm.name]) for arm in arms}
    reference = measured.get(protocol.reference)
    rows, titles = [], _titles(arms, material)
    for arm in arms:
        own, other = measured[arm.name], reference if arm.name != protocol.reference else None
        if own.units:
            key = (arm.name, tuple(own.units), tuple(other.units) if other else ())
            known[key] = row = known.get(key) or _arm(arm, own, other, protocol, material)
            rows.append(row | {"title": titles[arm.name]})
    missing = [{"arm": j.arm, "seed": j.seed, "resample": j.resample} for j in jobs if not j.done()]
    return {
        "format": FORMAT,
        "name": out.resolve().name,
        "quick": protocol.quick,
        "complete": not missing,
        "missing": missing,
        "versions": versions(),
        "protocol": asdict(protocol)
        | {"image_size": protocol.size, "recipe_settings": asdict(protocol.adjusted_recipe())},
        "data": _data(material, jobs),
        "leak": material.leak,
        "warnings": [*material.warnings, *_warnings(protocol, arms, measured, rows)],
        "arms": rows,
        "curves": _curves(rows, protocol),
        "exchange": _exchange(rows, protocol),
    }


def save(out: Path, found: Facts) -> Values:
    """Write results.json; returns what it holds."""
    write_json(out / "results.json", found)
    return dict(json.loads(json.dumps(found)))


def _arm(arm: Arm, own: Measured, reference: Measured | None, protocol: Protocol, material: StudyImages) -> Values:
    keys = sorted(own.units)
    units = [own.units[key] for key in keys]
    shared = [key for key in keys if reference is not None and key in reference.units]
    base = reference.matrix(shared) if reference is not None and shared else None
    run = material.runs[arm.path] if arm.path else None
    images = units[0]["images"]
    ratio = None if run is None else round(images["synthetic"] / max(1, _originals(own, material, protocol)), 3)
    return {
        "name": arm.name, "spec": arm.spec, "kind": arm.kind,
        "method": run.method if run else None, "run": arm.path, "ratio": ratio, "asked_ratio": arm.ratio,
        "reference": arm.name == protocol.reference, "baseline": arm.baseline, "images": images,
        "units": [{key: unit.get(key) for key in _UNIT} for unit in units],
        "top1": statistics.summary(keys, [unit["top1"] for unit in units]),
        "mean_per_class": statistics.summary(keys, [unit["mean_per_class"] for unit in units]),
        "difference": _differences(own, reference, shared, protocol),
        "per_class": statistics.per_class(
            own.matrix(shared or keys), base, own.label, material.labels.names, level=protocol.level,
            draws=min(500, protocol.bootstrap),
        ),
        "corruption": _corruption(own, protocol),
        "seconds": round(sum(unit["seconds"] for unit in units), 1),
    }  # fmt: skip


def _originals(own: Measured, material: StudyImages, protocol: Protocol) -> int:
    """How many original images an arm with all of them trains on."""
    return len(material.images.choose(protocol.validation, min(own.units)[0]).rows)


def _differences(own: Measured, reference: Measured | None, keys: list[Key], protocol: Protocol) -> Values | None:
    if reference is None or not keys:
        return None
    options = {"level": protocol.level, "draws": protocol.bootstrap}
    found = statistics.accuracy_differences(
        own.matrix(keys), reference.matrix(keys), own.label, level=protocol.level, draws=protocol.bootstrap
    )
    both = [key for key in keys if key in own.corruption and key in reference.corruption]
    corruption = None
    if both:
        a, b = (
            statistics.by_seed(both, np.stack([m.corruption[key].mean((0, 1)) for key in both]))
            for m in (own, reference)
        )
        corruption = statistics.difference(a, b, np.full(a.shape[1], 1 / a.shape[1]), **options)  # type: ignore[arg-type]
    return {**found, "corruption": corruption}


def _corruption(own: Measured, protocol: Protocol) -> Values | None:
    if not own.corruption:
        return None
    each = np.stack(list(own.corruption.values())).mean(-1)  # (units, kinds, severities)
    table = each.mean(0)
    third = protocol.severities.index(3) if 3 in protocol.severities else None
    return {
        **statistics.summary(list(own.corruption), each.mean((1, 2)).tolist()),
        "severities": list(protocol.severities),
        "by_kind": {kind: table[i].tolist() for i, kind in enumerate(KINDS)},
        "by_severity": table.mean(0).tolist(),
        "severity_3": None if third is None else float(table[:, third].mean()),
    }


def _curves(rows: list[Values], protocol: Protocol) -> list[Values]:
    """Accuracy against the expansion ratio (GIF Fig. 4, RET Fig. 5B), one curve a run with more than one ratio."""
    start = [_point(row, 0.0) for row in rows if row["reference"]]
    curves = []
    for run in dict.fromkeys(row["run"] for row in rows if row["kind"] == "run"):
        own = [row for row in rows if row["run"] == run and row["kind"] == "run"]
        if len(own) > 1:
            points = sorted((_point(row, row["ratio"]) for row in own), key=lambda point: point["ratio"])
            curves.append(
                {"run": run, "title": max(own, key=lambda row: row["ratio"])["title"], "points": start + points}
            )
    return curves


def _titles(arms: Sequence[Arm], material: StudyImages) -> dict[str, str]:
    """What each arm is called in tables: the name that was given, else the method of its run, with the arm's name where
    two would be called the same."""
    plain = {}
    for arm in arms:
        method = material.runs[arm.path].method if arm.path else ""
        titles = {"run": method, "synthetic": f"{method}, alone", "clip-finetune": f"clip-finetune on {method}"}
        plain[arm.name] = titles.get(arm.kind, arm.name) if arm.path and not arm.renamed else arm.name
    often = Counter(plain.values())
    apart = {name: name if title in name else f"{title} ({name})" for name, title in plain.items()}
    return {name: title if often[title] == 1 else apart[name] for name, title in plain.items()}


def _point(row: Values, ratio: float) -> Values:
    return {"arm": row["name"], "ratio": ratio, "mean": row["top1"]["mean"], "se": row["top1"]["se"]}


def _exchange(rows: list[Values], protocol: Protocol) -> list[Values]:
    """What synthetic images are worth in real ones, where real:N arms say what real ones are worth."""
    start = next((row for row in rows if row["reference"] and row["kind"] == "original"), None)
    real = [row for row in rows if row["kind"] == "real"]
    if start is None or not real:
        return []
    curve = [(0.0, start["top1"]["mean"]), *((float(r["images"]["real"]), r["top1"]["mean"]) for r in real)]
    return [
        statistics.exchange(
            row["name"], row["images"]["synthetic"], start["top1"]["mean"], row["difference"]["top1"], curve
        )
        for row in rows
        if row["kind"] == "run" and row["difference"]
    ]


def _data(material: StudyImages, jobs: Sequence[Job]) -> Values:
    first = next((job for job in jobs if job.kind == "original"), jobs[0])
    held = material.held.label[material.held_rows]
    return {
        "name": material.name,
        "classes": list(material.labels.names),
        "titles": list(material.labels.titles),
        "train": first.images["original"],
        "validation": len(first.validation) if first.validation is not None else 0,
        "held_out": len(held),
        "held_out_per_class": np.bincount(held, minlength=len(material.labels)).tolist(),
    }


def _warnings(
    protocol: Protocol, arms: Sequence[Arm], measured: dict[str, Measured], rows: Sequence[Facts]
) -> list[str]:
    found = [
        f"{row['name']} has {row['ratio']:g} new images for each original and not the {row['asked_ratio']:g} asked for"
        for row in rows
        if row["asked_ratio"] is not None and abs(row["ratio"] - row["asked_ratio"]) > 0.02 * row["asked_ratio"]
    ]
    found += _thin(rows) + _outgrown(rows)
    if protocol.reference not in measured:
        found.append(f"no arm is called {protocol.reference!r}, so nothing is compared with it")
    if protocol.seeds < 3:
        found.append("fewer than 3 seeds: the spread between seeds is hardly known")
    if protocol.online_aug == "strong" and any(arm.kind == "online-aug" for arm in arms):
        found.append("online-aug is the same as original when --online-aug is strong for every arm")
    if protocol.allow_leak:
        found.append("held-out images were allowed among the training images: the accuracies are too high")
    return found


def _thin(rows: Sequence[Facts]) -> list[str]:
    """Classes of too few held-out images for what is said of them."""
    few = [row["class"] for row in (rows[0]["per_class"] if rows else []) if row["held_out"] < statistics.FEW]
    if not few:
        return []
    return [
        f"{len(few)} classes have fewer than {statistics.FEW} held-out images, such as {few[0]}: nothing can be said "
        "of each, and the interval of the mean over classes is too narrow"
    ]


def _outgrown(rows: Sequence[Facts]) -> list[str]:
    """A run that is much larger than `duplicate`, which was measured before it."""
    sizes = {row["name"]: row["images"]["total"] for row in rows if row["kind"] == "duplicate"}
    if not sizes:
        return []
    alike, size = max(sizes.items(), key=lambda item: item[1])
    larger = [row for row in rows if row["kind"] == "run" and row["images"]["total"] > 1.5 * size]
    if not larger:
        return []
    times = max(round(row["images"]["synthetic"] / row["images"]["original"]) for row in larger)
    return [
        f"{larger[0]['name']} is larger than {alike}, which was measured before it: "
        f"--arm duplicate:{times} has its size"
    ]
