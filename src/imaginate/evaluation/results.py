"""results.json: what a report needs, computed again from the stored per-image answers of every finished unit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from imaginate.devices import versions
from imaginate.evaluation import controls, measures, mistakes, statistics, verdict
from imaginate.evaluation.answers import Answers, Key, shared
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.bounds import bounds
from imaginate.evaluation.compose import drawn_from
from imaginate.evaluation.controls import CANDIDATES
from imaginate.evaluation.corruption import KINDS
from imaginate.evaluation.job import Job
from imaginate.evaluation.notes import measured_on, warnings
from imaginate.evaluation.planning import corrected, sign_flip
from imaginate.evaluation.predictors import predictors
from imaginate.evaluation.protocol import FORMAT, Protocol
from imaginate.evaluation.statistics import BARRED
from imaginate.evaluation.study_images import StudyImages
from imaginate.records import LabelSpace
from imaginate.runs import Facts, RunFolder, Values
from imaginate.training.folder import write_json

_UNIT = (
    "seed", "resample", "top1", "mean_per_class", "validation", "best_update", "updates", "epochs", "stopped_early",
    "seconds", "parameters", "corruption", "per_class", "processes", "device", "precision",
)  # fmt: skip


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
    measured = {arm.name: Answers([job for job in jobs if job.arm == arm.name]) for arm in arms}
    reference = measured.get(protocol.reference)
    rows, titles = [], _titles(arms, material)
    for arm in arms:
        own, other = measured[arm.name], reference if arm.name != protocol.reference else None
        if own.units:
            key = (arm.name, tuple(own.units), tuple(other.units) if other else ())
            known[key] = row = known.get(key) or _arm(arm, own, other, protocol, material)
            lacks = _lacks(arm, jobs, material)
            known_bounds = bounds(own, [material.labels.index(name) for name in lacks], material.held_short)
            rows.append(row | {"title": titles[arm.name], "lacks": lacks, "bounds": known_bounds})
    rows = _with_holm(rows)
    missing = [{"arm": j.arm, "seed": j.seed, "resample": j.resample} for j in jobs if not j.done()]
    found = {
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
        "warnings": [*material.warnings, *measured_on(_covered(material)), *warnings(protocol, arms, measured, rows)],
        "arms": rows,
        "curves": _curves(rows, protocol),
        "exchange": _exchange(rows, protocol),
    }
    return found | _judgement(found, arms, measured, protocol, known)


def save(out: Path, found: Facts) -> Values:
    """Write results.json; returns what it holds."""
    write_json(out / "results.json", found)
    return dict(json.loads(json.dumps(found)))


def _weights(arm: Arm) -> Values:
    """The weights that made the images of a run, as the run notes them."""
    is_run = arm.path is not None and arm.kind in ("run", "synthetic")
    return dict(RunFolder(arm.path).facts.get("weights") or {}) if is_run and arm.path else {}


def _lacks(arm: Arm, jobs: Sequence[Job], material: StudyImages) -> list[str]:
    """The classes of which a classifier of this arm never saw an image: its accuracy in them is none."""
    if arm.kind == "clip-zero-shot":
        return []
    names = material.labels.names
    seen = [np.bincount(job.train.label, minlength=len(names)) > 0 for job in jobs if job.arm == arm.name]
    return [name for name, is_seen in zip(names, np.all(seen, axis=0), strict=True) if not is_seen]


def _judgement(
    found: Values, arms: Sequence[Arm], measured: dict[str, Answers], protocol: Protocol, known: dict[object, Values]
) -> Values:
    """The controls, what each arm is worth in real images, and the verdict in sentences."""
    judged = controls.judged(arms, measured, protocol.level)
    yard = controls.yardstick(arms, measured)
    plain = next((arm.name for arm in arms if arm.kind == "original" and arm.name in yard), None)
    worth = []
    for row in found["arms"]:
        if plain is None or row["kind"] not in CANDIDATES:
            continue
        key = ("worth", row["name"], *(tuple(measured[name].units) for name in (row["name"], plain, *yard)))
        if key not in known:
            known[key] = controls.worth(row["name"], plain, yard, measured, protocol.level) or {}
        worth += [known[key]] if known[key] else []
    recipes = {arm.name: RunFolder(arm.path).recipe for arm in arms if arm.path and arm.kind in ("run", "synthetic")}
    study = verdict.Study(
        arms=found["arms"], protocol=found["protocol"], data=found["data"], controls=judged, worth=worth,
        doubts=verdict.of_one_class(found["data"]),
        guides={name: str((recipe.get("roles") or {}).get("guide") or "") for name, recipe in recipes.items()},
        queries={name: query_of(recipe.get("method") or {}) for name, recipe in recipes.items()},
    )  # fmt: skip
    return {"controls": judged, "worth": worth, "verdict": verdict.sentences(study)}


def query_of(method: Values) -> str:
    """By what a run's method searched a pool; nothing where a head did, whatever its unused query was."""
    return str(method.get("query") or "") if method.get("score", "query") == "query" else ""


def _arm(arm: Arm, own: Answers, reference: Answers | None, protocol: Protocol, material: StudyImages) -> Values:
    keys = own.keys
    units = [own.units[key] for key in keys]
    both = shared([own, reference]) if reference is not None else []
    base = reference.matrix(both) if reference is not None and both else None
    run = material.runs[arm.path] if arm.path else None
    images = units[0]["images"]
    ratio = None if run is None else round(images["synthetic"] / max(1, _originals(own, material, protocol)), 3)
    classes = len(material.labels)
    other = reference if both else None
    ids = [material.held.ids[row] for row in material.held_rows]
    return {
        "name": arm.name, "spec": arm.spec, "kind": arm.kind,
        "weights": _weights(arm),
        "method": run.method if run else None, "run": None if arm.kind == "folder" else arm.path,
        "elsewhere": run.elsewhere if run else None, "files": run.files if run else None,
        "ratio": ratio, "asked_ratio": arm.ratio,
        "reference": arm.name == protocol.reference, "baseline": arm.baseline, "images": images,
        "units": [{key: unit.get(key) for key in _UNIT} for unit in units],
        "top1": statistics.summary(keys, [unit["top1"] for unit in units]),
        "mean_per_class": statistics.summary(keys, [unit["mean_per_class"] for unit in units]),
        **{name: _measure(own, name, classes) for name in measures.NAMES},
        "difference": _differences(own, reference, both, protocol, classes),
        "per_class": statistics.per_class(
            own.matrix(both or keys), base, own.label, material.labels.names, level=protocol.level
        ),
        "confusion": mistakes.confusion(own, other, both or keys, material.labels.names, protocol.level),
        "most_wrong": mistakes.most_wrong(own, other, both or keys, ids, material.labels.names),
        **mistakes.changed(own, other, both or keys, ids, material.labels.names),
        "corruption": _corruption(own, protocol),
        "predictors": None
        if run is None or protocol.quick
        else predictors(run, drawn_from(arm, run, material), material),
        "seconds": round(sum(unit["seconds"] for unit in units), 1),
    }  # fmt: skip


def _originals(own: Answers, material: StudyImages, protocol: Protocol) -> int:
    """How many original images an arm with all of them trains on."""
    return len(material.images.choose(protocol.validation, min(own.units)[0]).rows)


def _measure(own: Answers, name: str, classes: int) -> Values | None:
    """A measure's mean over the classifiers; None where it cannot be had."""
    each = [measures.parts(name, own, [key], classes) for key in own.keys]
    known = [float(parts.mean()) for parts in each if parts is not None]
    return statistics.summary(own.keys, known) if len(known) == len(each) else None


def _differences(
    own: Answers, reference: Answers | None, keys: list[Key], protocol: Protocol, classes: int
) -> Values | None:
    """The differences to the reference in every measure, the same classifiers and images on both sides."""
    if reference is None or not keys:
        return None
    a, b, label, level = own.matrix(keys), reference.matrix(keys), own.label, protocol.level
    flat = np.full(len(label), 1 / len(label))
    found: Values = {
        "top1": _gap(a, b, flat, level),
        "mean_per_class": _gap(a, b, statistics.class_weight(label), level, strata=label),
        "corruption": None,
    }
    for name in measures.NAMES:
        first, second = (measures.parts(name, side, keys, classes) for side in (own, reference))
        found[name] = None if first is None or second is None else _gap(first, second, flat, level)
    both = [key for key in keys if key in own.corruption and key in reference.corruption]
    if both:
        a, b = (
            statistics.by_seed(both, np.stack([side.corruption[key].mean((0, 1)) for key in both]))
            for side in (own, reference)
        )
        found["corruption"] = _gap(a, b, np.full(a.shape[1], 1 / a.shape[1]), level)
    return found


def _gap(
    arm: np.ndarray, reference: np.ndarray, weight: np.ndarray, level: float, strata: np.ndarray | None = None
) -> Values:
    """One difference with all that is known of it: interval, p-values, smallest effect, spread."""
    gap = np.asarray(arm, float) - reference
    found = statistics.spread(gap, weight, strata)
    return statistics.interval(found, level) | {
        "smallest": statistics.smallest_effect(found, level),
        "p_sign_flip": sign_flip((gap * weight).sum(1)),
        "spread": asdict(found),
    }


def _with_holm(rows: list[Values]) -> list[Values]:
    """The rows, with Holm's correction over the arms that the study is asked about (not its controls)."""
    out = [{**row, "difference": row["difference"] and dict(row["difference"])} for row in rows]
    for row in out:
        if verdict.is_barred(row) and row["difference"]:
            row["difference"] = {name: d and d | {"verdict": BARRED} for name, d in row["difference"].items()}
            row["per_class"] = [r | {"verdict": BARRED} if "verdict" in r else r for r in row["per_class"]]
    asked = [
        row["difference"]
        for row in out
        if row["kind"] in CANDIDATES and row["difference"] and not verdict.is_barred(row)
    ]
    for name in ("top1", "mean_per_class"):
        known = [found for found in asked if found[name]["p"] is not None]
        for found, p in zip(known, corrected([found[name] for found in known]), strict=True):
            found[name] = found[name] | {"p_holm": p}
    return out


def _corruption(own: Answers, protocol: Protocol) -> Values | None:
    if not own.corruption:
        return None
    each = np.stack(list(own.corruption.values())).mean(-1)  # (units, kinds, severities)
    table = each.mean(0)
    third = protocol.severities.index(3) if 3 in protocol.severities else None
    return {
        **statistics.summary(list(own.corruption), each.mean((1, 2)).tolist()),
        "image_size": protocol.size,
        "constants": protocol.corruption_constants,
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
        titles = {
            "run": method,
            "folder": arm.name,
            "synthetic": f"{method}, alone",
            "clip-finetune": f"clip-finetune on {method}",
        }
        plain[arm.name] = titles.get(arm.kind, arm.name) if arm.path and not arm.renamed else arm.name
    often = Counter(plain.values())
    apart = {name: name if title in name else f"{title} ({name})" for name, title in plain.items()}
    return {name: title if often[title] == 1 else apart[name] for name, title in plain.items()}


def _point(row: Values, ratio: float) -> Values:
    found = {"arm": row["name"], "ratio": ratio, "mean": row["top1"]["mean"], "se": row["top1"]["se"]}
    return found | ({"bounds": row["bounds"]} if row["bounds"] else {})


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
        "held_out_on": _covered(material),
    }


def _covered(material: StudyImages) -> str:
    """On which classes every accuracy is measured, where that is not on all that take part."""
    counts = np.bincount(material.held.label[material.held_rows], minlength=len(material.labels))
    kept = [i for i in range(len(counts)) if i not in material.short]
    labels = LabelSpace(tuple(material.labels[i] for i in kept))
    return labels.covered(counts[kept].tolist(), "held-out image")
