"""Measures the images of a run against held-out ones by every registered metric -> metrics.json.

The held-out images are compared with, never trained on. To choose settings by these numbers, use another split.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imaginate import registry
from imaginate.data import open_dataset
from imaginate.data.photometry import rendering_of
from imaginate.data.subset import evenly_spread
from imaginate.devices import pick_device
from imaginate.errors import ConfigError, RunError
from imaginate.evaluation.measurements import Measurements
from imaginate.evaluation.metrics.core.cost import run_cost
from imaginate.evaluation.metrics.core.features import Extractor, build_extractor, extract
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Metric, Row, Sets
from imaginate.files import replace_file
from imaginate.models.extras import check_installed, packages_of
from imaginate.progress import bar
from imaginate.records import LabelSpace, Scalar
from imaginate.runs import METRICS, OLD_METRICS, RunFolder, Values
from imaginate.settings import build, check_price, nearest, settings_of, values_of

FORMAT = "imaginate-evaluation/1"


def evaluate(
    run: str | os.PathLike[str],
    against: str | os.PathLike[str],
    *,
    split: str = "test",
    features: str = "efficientnet-lite0",
    limit: int | None = None,
    batch: int = 32,
    device: str = "cpu",
    hourly_price: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **settings: Scalar,
) -> Measurements:
    """Measure a run's images against the held-out ones of a dataset; returns what metrics.json holds.

    `features` names the network through which images are compared; `limit`: at most so many images of each side, evenly
    spread; `out`: the file, default metrics.json in the run. Every other keyword is a setting of a metric
    (`neighbours=3`). Everything is checked before anything is measured.
    """
    for name, value in (("limit", limit), ("batch", batch)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be >= 1, got {value}")
    check_price(hourly_price)
    along = ("guide",) if features.startswith(("nano", "clip", "open_clip")) else packages_of(features)
    check_installed("imaginate evaluate", ["metrics"], along=along)
    metrics, place = metrics_with(settings), _place(out)
    extraction = Extraction(features=features, device=pick_device(device), batch=batch, limit=limit, progress=progress)
    values = _measure(os.fspath(run), os.fspath(against), split, extraction, metrics)
    if RunFolder(run).store.exists(OLD_METRICS):
        values["warnings"].append(
            f"{OLD_METRICS} of an earlier version is in the run: datasets reads it as a split; remove it"
        )
    values |= {"cost": run_cost(RunFolder(run).facts, hourly_price), "run": os.fspath(run)}
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    if place is None:
        RunFolder(run).store.put(METRICS, (text + "\n").encode())
    else:
        replace_file(place, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))
    return Measurements(json.loads(text))


def metric_classes() -> list[type[Metric]]:
    """The registered metrics, in the order of the table."""
    found: list[tuple[str, type[Metric]]] = [(n, registry.find("metrics", n)) for n in registry.names("metrics")]
    return [cls for _, cls in sorted(found, key=lambda pair: (pair[1].order, pair[0]))]


def metrics_with(settings: Mapping[str, Scalar]) -> list[Metric]:
    """Every registered metric with those of the settings that it has; ConfigError for one that none has."""
    classes = metric_classes()
    known = {s.name for cls in classes for s in settings_of(cls)}
    for name in settings:
        if name not in known:
            raise ConfigError(f"unknown setting of evaluate: {name!r}{nearest(name, known)}")
    own = [{s.name: settings[s.name] for s in settings_of(cls) if s.name in settings} for cls in classes]
    return [build(cls, values, where="evaluate") for cls, values in zip(classes, own, strict=True)]


def assess(sets: Sets, extractor: Extractor, classes: int, metrics: Sequence[Metric] | None = None) -> Values:
    """What the metrics find, leaks and duplicates too, with warnings. `originals` in a row of the table is the same
    number for the originals."""
    metrics = metrics_with({}) if metrics is None else metrics
    images = Measured(sets=sets, extractor=extractor, classes=classes, least=max((m.least for m in metrics), default=0))
    found = [(metric, _findings(metric, images)) for metric in metrics]
    counts = {"originals": len(sets.originals), "new": len(sets.new), "held_out": len(sets.held_out)}
    every = (sets.originals, sets.new, sets.held_out)
    return {
        "format": FORMAT,
        "features": {"name": extractor.name, "dim": int(sets.held_out.vectors.shape[1])},
        "images": {**counts, "unreadable": sum(len(f.skipped) for f in every)},
        "metrics": [row | {"note": _noted(row, metric, images)} for metric, f in found for row in f.rows],
        **{_name(metric): dict(f.section) for metric, f in found if f.section is not None},
        "warnings": [*_too_few(images), *(text for _, f in found for text in f.warnings)],
        "settings": {name: value for metric in metrics for name, value in values_of(metric).items()},
    }


def _findings(metric: Metric, images: Measured) -> Findings:
    missing = [need for need in metric.needs if not images.has(need)]
    if missing:
        return Findings(warnings=[f"{_name(metric)} needs {' and '.join(missing)}: not measured"])
    return metric.measure(images)


def _noted(row: Row, metric: Metric, images: Measured) -> str:
    """A row's note, with the classes that its figure is about where a side lacks some."""
    held_out = "held-out images" in metric.needs
    sides = [("new", images.sets.new), *([("held-out", images.sets.held_out)] if held_out else [])]
    shown = [(what, len(side.shown), images.classes) for what, side in sides if len(side)]
    return "; ".join(filter(None, [row["note"], *(f"{w} images of {n} of {c} classes" for w, n, c in shown if n < c)]))


def _lacking(sets: Sets, labels: LabelSpace) -> list[str]:
    """What is said of a side that lacks classes of the run."""
    found = []
    for what, side in (("new", sets.new), ("held-out", sets.held_out)):
        counts = [side.labels.count(label) for label in range(len(labels))]
        on = labels.covered(counts, f"{what} image") if any(counts) else ""
        found += [f"the {what} images are measured {on}"] if on else []
    return found


def _name(metric: Metric) -> str:
    """The name that a metric is registered under."""
    return next(name for name in registry.names("metrics") if registry.find("metrics", name) is type(metric))


def _too_few(images: Measured) -> list[str]:
    """What is said of a side that has too few images for a distance."""
    sets, found = images.sets, []
    for what, side in (("new", sets.new), ("original", sets.originals)):
        if len(side) and min(len(side), len(sets.held_out)) < images.least:
            found.append(
                f"distances need {images.least} images on each side, got {len(sets.held_out)} held-out and "
                f"{len(side)} {what}"
            )
    return found


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """How images become features. `limit`: at most so many images of each side."""

    features: str
    device: str
    batch: int
    limit: int | None
    progress: bool


def _measure(run: str, against: str, split: str, how: Extraction, metrics: Sequence[Metric]) -> Values:
    RunFolder(run).check_finished()
    own = open_dataset(run)
    held_out = open_dataset(against, split=split, rendered_as=rendering_of(own))
    originals = [s for s in own.samples if s.meta.get("method") is None]
    new = [s for s in own.samples if s.meta.get("method") is not None]
    if not new:
        raise RunError(f"{run} has no new image to measure")
    extractor = build_extractor(how.features, own.labels, device=how.device)
    parts = [evenly_spread(part, how.limit) for part in (originals, new, held_out.samples)]
    with bar("measuring", sum(map(len, parts)), show=how.progress) as shown:
        found = [extract(p, extractor, device=how.device, batch=how.batch, seen=shown.advance) for p in parts]
    known = {name: i for i, name in enumerate(own.labels.names)}
    found[2].labels = [known.get(held_out.labels[label].name, -1) for label in found[2].labels]
    sets = Sets(originals=found[0], new=found[1], held_out=found[2])
    result = assess(sets, extractor, len(own.labels), metrics) | {"against": {"path": against, "split": split}}
    result["warnings"] += _lacking(sets, own.labels)
    result["measured"] = RunFolder(run).images_mark()
    if how.limit:
        result["warnings"].append(f"at most {how.limit} images of each side were used (--limit)")
    return result


def _place(out: str | os.PathLike[str] | None) -> Path | None:
    """The file to write, refused where it cannot be one; None is metrics.json in the run."""
    if not out:
        return None
    place = Path(out)
    if place.is_dir():
        raise ConfigError(f"out must be a file, got the folder {place}")
    above = next(folder for folder in place.parents if folder.exists())
    if not above.is_dir():
        raise ConfigError(f"out must be in a folder, got {place}: {above} is a file")
    return place
