"""A finished run is a dataset: its kept images, with the origin of each in `Sample.meta`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from imaginate.data.labelling import NO_LABEL, OUT_OF_RANGE, one_form
from imaginate.data.scanning import file_reason
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError, RunError
from imaginate.records import GROUP, ClassInfo, LabelSpace, Listing, Part, Place, Sample, Skipped
from imaginate.runs import Row, RunFolder

META = ("origin", "method", "seed_image", "copy", "prompt", "prior", "guide", "rng_seed", GROUP)
OUTSIDE = "outside of the run"
_NEEDED = ("file_name", "label", "origin")


class FinishedRun:
    """Reads the kept images of a run: all, the originals, or the new ones."""

    layout: ClassVar[str] = "a finished run"
    priority: ClassVar[int] = 10

    def recognises(self, place: Place) -> bool:
        """A folder with a recipe and shards, finished or not."""
        return "recipe.yaml" in place.names and not place.names.isdisjoint({"shards", "metadata.parquet"})

    def read(self, place: Place, part: Part) -> Listing:
        """The images of the wanted origin."""
        return _read(place.path, part.origin)


def _read(path: str, origin: str) -> Listing:
    """The kept images of a run: all, the originals, or the new ones."""
    run = RunFolder(path)
    try:
        rows = run.rows(columns=(*META, "class_name", "soft_label", "kept"), needed=_NEEDED)
    except RunError as error:
        raise DataError(str(error)) from None
    labels = _labels(run, rows)
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for row in rows:
        if not _wanted(row, origin):
            continue
        name, label = str(row["file_name"]), row["label"]
        full, outside = _place(run, name)
        reason = NO_LABEL if label is None else OUT_OF_RANGE if not 0 <= label < len(labels) else ""
        reason = outside or reason or file_reason(full)
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            samples.append(_sample(name, full, row))
    if origin == "synthetic" and rows and not (samples or skipped):
        raise DataError(f"{path} has no new image: all were rejected (`imaginate inspect {path}` says why)")
    gone = run.gone()
    notes = (run.words_for_gone(gone),) if gone else ()
    return Listing(format="run", labels=labels, samples=samples, skipped=skipped, notes=notes, has_origins=True)


def _place(run: RunFolder, name: str) -> tuple[str, str]:
    """The path of an image, or the reason why it is not read."""
    try:
        return run.store.readable(name), ""
    except RunError:
        return "", OUTSIDE


def _wanted(row: Row, origin: str) -> bool:
    kept = row.get("kept") is not False and row["file_name"] is not None
    return kept and (origin == "all" or (row["origin"] == "original") == (origin == "original"))


def _sample(name: str, full: str, row: Row) -> Sample:
    soft = row.get("soft_label")
    return Sample(
        id=name,
        label=row["label"],
        source=FileSource(full),
        soft_label=tuple(float(value) for value in soft) if soft else None,
        meta={key: row[key] for key in META if row.get(key) is not None},
    )


def _renamed(info: ClassInfo, name: str) -> ClassInfo:
    return info if info.name == name else replace(info, name=name)


def _labels(run: RunFolder, rows: list[Row]) -> LabelSpace:
    """The classes that run.json lists, so that a class without a kept image keeps its label; else those of the rows."""
    try:
        labels = run.labels
    except RunError:  # a damaged run.json: the rows say enough
        labels = None
    if labels is not None:
        names = [one_form(name) for name in labels.names]  # runs of earlier versions may have names in other forms
        one_each = len(set(names)) == len(names)
        return LabelSpace(tuple(map(_renamed, labels, names))) if one_each else labels
    by_label = {row["label"]: str(row.get("class_name") or row["label"]) for row in rows if row["label"] is not None}
    return LabelSpace.of([by_label.get(label, str(label)) for label in range(max(by_label, default=-1) + 1)])
