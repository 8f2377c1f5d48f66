"""What the page says about a study: findings, the headline table, the plots, and the runs behind the arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from markupsafe import Markup

from imaginate.reports import plots, words
from imaginate.reports.read import Study, View
from imaginate.reports.view_classes import classes_view
from imaginate.reports.view_leaks import elsewhere_view, leak_view
from imaginate.reports.view_mistakes import mistakes_view
from imaginate.reports.view_run import Options, cost, run_view
from imaginate.reports.view_training import budget_note, training_view
from imaginate.reports.view_verdict import controls_view, measures_view, seen, verdict_view
from imaginate.runs import Facts

KINDS = {
    "original": "the original images alone",
    "subset": "a share of the original images",
    "duplicate": "the originals repeated, no new image",
    "online-aug": "the originals with on-line augmentation",
    "run": "originals and new images",
    "folder": "originals and images that another tool made",
    "synthetic": "new images alone",
    "real": "originals and further real images",
    "clip-zero-shot": "CLIP, not trained here",
    "clip-probe": "linear probe on CLIP",
    "clip-finetune": "CLIP fine-tuned",
    "clip-distill": "CLIP distilled",
}


def study_view(study: Study, options: Options) -> View:
    """Everything that the study page needs."""
    results = study.results
    arms = results["arms"]
    reference = reference_title(results)
    others = [a for a in arms if not a.get("reference") and not a.get("baseline")]
    level = results["protocol"].get("level", 0.95)
    of_runs = options
    if results["protocol"].get("held_out"):
        of_runs = replace(
            options, held_out=(results["protocol"]["held_out"], results["protocol"].get("held_out_split"))
        )
    return {
        "name": study.name,
        "quick": bool(results.get("quick")),
        "missing": missing(results),
        "verdict": verdict_view(results),
        "controls": controls_view(results),
        "measures": measures_view(arms),
        "learners": learners_view(results),
        "mistakes": mistakes_view(arms, results, options),
        "elsewhere": elsewhere_view(arms),
        "files": [{"title": arm["title"], "text": arm["files"]["text"]} for arm in arms if arm.get("files")],
        "findings": findings(others, reference),
        "baselines": [
            words.finding(a["title"], (a.get("difference") or {}).get("top1"), reference)
            for a in arms
            if a.get("baseline")
        ],
        "caution": caution(others, results["protocol"]),
        "reference": reference,
        "level": f"{100 * level:g}",
        "rows": [row(a, study, options) for a in arms],
        "has": {k: any(a.get(k) for a in arms) for k in ("corruption", "run")},
        "price": options.hourly_price,
        "forest": Markup(plots.forest(others, reference)),
        "forest_class": Markup(plots.forest(others, reference, key="mean_per_class")),
        "curves": curve_view(results.get("curves") or []),
        "classes": classes_view(others, reference, results["data"], level),
        "corruption": corruption_view(arms, results["protocol"]),
        "exchange": [exchange_row(e, arms) for e in results.get("exchange") or []],
        "leak": leak_view(results.get("leak"), arms, results["protocol"]),
        "training": training_view(arms),
        "warnings": results.get("warnings") or [],
        "protocol": protocol_view(results),
        "budget": budget_note(results),
        "runs": [run_view(study.runs[name], of_runs, title=title) for name, title in _run_titles(study).items()],
        "lost": dict(study.lost),
        "versions": ", ".join(f"{k} {v}" for k, v in (results.get("versions") or {}).items()),
        "text": study.text,
    }


def learners_view(results: Facts) -> View | None:
    """Each arm by each learner, where the study has several; the rest of the page is about the first."""
    each: Facts = results.get("by_learner") or {}
    if not each:
        return None
    found: dict[str, list[View]] = {}
    for arch, one in each.items():
        for arm in one["arms"]:
            gap = (arm.get("difference") or {}).get("top1")
            cell = {"arch": arch, "top1": words.accuracy(arm["top1"]), "points": words.points(gap) if gap else ""}
            found.setdefault(arm["title"], []).append({**cell, "value": arm["top1"]["mean"]})
    archs = list(each)
    rows = [
        {"title": title, "cells": [next((c for c in cells if c["arch"] == arch), None) for arch in archs]}
        for title, cells in found.items()
    ]
    return {"names": archs, "rows": rows}


def reference_title(results: Facts) -> str:
    """The title of the arm that all differences are taken against."""
    named = results["protocol"].get("reference", "original")
    arm = next((a for a in results["arms"] if a.get("reference") or a["name"] == named), None)
    if arm is None:
        return str(named)
    return "the original data" if arm["kind"] == "original" else str(arm["title"])


def _image_count(originals: int | None, new: int) -> str:
    if not originals and not new:
        return "–"
    if not originals:
        return f"{words.number(new)} new"
    return words.number(originals) + (f" + {words.number(new)}" if new else "")


def _run_titles(study: Study) -> dict[str, str]:
    """Each run folder once, under the title of the arm that uses most of it."""
    chosen: dict[str, tuple[str, Facts]] = {}
    for arm in study.results["arms"]:
        name = arm.get("run")
        if name not in study.runs:
            continue
        place = str(study.runs[name].place)
        known = chosen.get(place)
        if known is None or (arm.get("ratio") or 0) > (known[1].get("ratio") or 0):
            chosen[place] = (name, arm)
    return {name: arm["title"] for name, arm in chosen.values()}


def missing(results: Facts) -> list[str]:
    """`GIF-SD: seed 2`: what an unfinished study still lacks, an arm a line."""
    titles = {a["name"]: a["title"] for a in results["arms"]}
    by_arm: dict[str, list[str]] = {}
    for unit in results.get("missing") or []:
        resample = f", resample {unit['resample']}" if unit.get("resample") else ""
        by_arm.setdefault(titles.get(unit["arm"], unit["arm"]), []).append(f"seed {unit['seed']}{resample}")
    return [f"{arm}: {words.listed(seeds, 6)}" for arm, seeds in by_arm.items()]


def findings(arms: Sequence[Facts], reference: str) -> list[View]:
    """One sentence an arm, gains first, then what is unclear, then losses."""
    found = []
    for arm in arms:
        d = (arm.get("difference") or {}).get("top1")
        found.append(
            {
                "word": words.verdict(d),
                "text": words.finding(arm["title"], d, reference),
                "mean": (d or {}).get("mean"),
            }
        )
    order = {"gain": 0, "unclear": 1, "single": 1, "barred": 1, "loss": 2, "none": 3}
    return sorted(found, key=lambda f: (order[f["word"]], -(f["mean"] or 0)))


def _family(arms: Sequence[Facts]) -> str:
    """The arms that are corrected for one another."""
    asked = sum("p_holm" in ((a.get("difference") or {}).get("top1") or {}) for a in arms)
    if asked == 1:
        return "the one arm that the study is asked about (it changes nothing), the controls apart"
    return f"the {asked} arms that the study is asked about, the controls apart"


def caution(arms: Sequence[Facts], protocol: Facts) -> list[str]:
    """What a reader should hold against the findings."""
    notes = []
    compared = sum(
        words.verdict((a.get("difference") or {}).get("top1")) not in ("single", "barred", "none") for a in arms
    )
    level = protocol.get("level", 0.95)
    corrected = any("p_holm" in ((a.get("difference") or {}).get("top1") or {}) for a in arms)
    if compared > 1 and corrected:
        notes.append(
            f"{compared} arms are compared, each at a level of {100 * level:g} %: p-values are given as they are, and "
            f"by Holm's correction over {_family(arms)}, which the verdict goes by."
        )
    elif compared > 1:
        notes.append(
            f"{compared} arms are compared, each at a level of {100 * level:g} %. The intervals are not corrected for "
            f"that: about one in {round(1 / (1 - level))} would miss 0 by chance even if no arm differed."
        )
    fewest = min((a["top1"]["n"] for a in arms if a.get("top1")), default=None)
    if fewest is not None and fewest < 3:
        notes.append(
            f"Some arms rest on {words.count(fewest, 'trained classifier')}; differences between seeds are hardly seen."
        )
    return notes


def row(arm: Facts, study: Study, options: Options) -> View:
    """One line of the headline table, with values for sorting."""
    d = (arm.get("difference") or {}).get("top1")
    images = (arm.get("images") or {}) if arm["kind"] != "clip-zero-shot" else {}
    new = (images.get("synthetic") or 0) + (images.get("real") or 0)
    run = study.runs.get(arm.get("run") or "")
    spent = cost(run, options) if run and arm["kind"] in ("run", "synthetic") else None
    word = words.verdict(d)
    return {
        "arm": arm,
        "kind": KINDS.get(arm["kind"], arm["kind"]),
        "word": "reference" if arm.get("reference") else word,
        "finding": "reference" if arm.get("reference") else words.verdict_word(word),
        "sign": "" if arm.get("reference") else words.verdict_sign(word),
        "images": _image_count(images.get("original"), new),
        "images_value": (images.get("original") or 0) + new or None,
        "top1": words.accuracy(arm.get("top1")),
        "top1_value": (arm.get("top1") or {}).get("mean"),
        "n": (arm.get("top1") or {}).get("n"),
        "lacks": f"no training image of {words.listed(arm['lacks'], 3)}" if arm.get("lacks") else "",
        "points": words.points(d),
        "seen": seen(d),
        "points_value": (d or {}).get("mean"),
        "per_class": words.accuracy(arm.get("mean_per_class")),
        "per_class_value": (arm.get("mean_per_class") or {}).get("mean"),
        "corruption": words.accuracy(arm.get("corruption")),
        "corruption_value": (arm.get("corruption") or {}).get("mean"),
        "cost": spent,
    }


def curve_view(found: Sequence[Facts]) -> View | None:
    """Accuracy by expansion ratio, with a legend."""
    series = []
    for curve in found:
        points = [
            plots.Point(p["ratio"], 100 * p["mean"], None if p.get("se") is None else 100 * p["se"], _case(p))
            for p in curve["points"]
            if p.get("mean") is not None
        ]
        if len(points) > 1:
            series.append((str(curve["title"]), points))
    if not series:
        return None
    plot = plots.curves(series, x_label="new images for each original", y_label="top-1, %")
    legend = [(Markup(plots.legend_mark(i)), title) for i, (title, _) in enumerate(series)]
    return {"plot": Markup(plot), "legend": legend}


def _case(point: Facts) -> tuple[float, float] | None:
    """The worst and the best that a point can be over all classes, %, where some have no images."""
    known = point.get("bounds")
    return None if known is None else (100 * known["worst"], 100 * known["best"])


CONSTANTS = {"imagenet-c": "ImageNet-C", "cifar-c": "CIFAR-C"}


def corruption_view(arms: Sequence[Facts], protocol: Facts) -> View | None:
    """Accuracy under the common corruptions (GIF Table 2), averaged over the severities that were measured."""
    known = [a for a in arms if a.get("corruption")]
    if not known:
        return None
    kinds = list(known[0]["corruption"].get("by_kind") or {})
    rows = []
    for arm in known:
        by_kind = arm["corruption"].get("by_kind") or {}
        cells = [_mean(by_kind.get(k) or []) for k in kinds]
        rows.append(
            {
                "title": arm["title"],
                "cells": cells,
                "mean": words.accuracy(arm["corruption"]),
                "value": arm["corruption"]["mean"],
            }
        )
    size = known[0]["corruption"].get("image_size") or protocol.get("image_size")
    constants = CONSTANTS[known[0]["corruption"].get("constants", "imagenet-c")]
    return {"kinds": [k.replace("_", " ") for k in kinds], "rows": rows, "size": size, "constants": constants}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def exchange_row(e: Facts, arms: Sequence[Facts]) -> View:
    """How many further real images reach the same accuracy."""
    title = next((a["title"] for a in arms if a["name"] == e["arm"]), e["arm"])
    low, high = e.get("low"), e.get("high")
    span = (
        ""
        if low is None and high is None
        else f" [{words.number(low)}, {words.number(high) if high is not None else 'open'}]"
    )
    rate = "" if e.get("rate") is None else f"{words.number(e['rate'])}{span}"
    return {**e, "title": title, "rate_text": rate, "real_text": words.number(e.get("real"))}


def protocol_view(results: Facts) -> list[tuple[str, str]]:
    """The protocol as pairs, empty values left out."""
    data = results["data"]
    counts = [
        ("training images", data.get("train")),
        ("validation images", data.get("validation")),
        ("held-out images", data.get("held_out")),
    ]
    pairs = [(name, words.number(n)) for name, n in counts if n is not None]
    pairs.append(("classes", words.number(len(data.get("classes") or []))))
    flat: View = {}
    for key, value in results["protocol"].items():
        flat |= {f"{key} {k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    if flat.get("recipe_settings lr") == 0:
        flat["recipe_settings lr"] = "set by the batch size"
    return pairs + [(k.replace("_", " "), _plain(v)) for k, v in flat.items() if v is not None and v != []]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
