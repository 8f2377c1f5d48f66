"""A finished run is a dataset: its kept images, with what made each of them in `Sample.meta`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from imaginate.data.labelling import NO_LABEL, OUT_OF_RANGE
from imaginate.data.scanning import file_reason
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError
from imaginate.records import ClassInfo, LabelSpace, Listing, Part, Place, Sample, Skipped

META = ("origin", "method", "seed_image", "copy", "prompt", "prior", "guide", "rng_seed")
_NEEDED = ("file_name", "label", "origin")


class FinishedRun:
    """Reads the kept images of a run: all, the originals, or those made (or retrieved) for it."""

    layout: ClassVar[str] = "a finished run"
    priority: ClassVar[int] = 10

    def recognises(self, place: Place) -> bool:
        """A folder with a recipe and shards, finished or not."""
        return "recipe.yaml" in place.names and not place.names.isdisjoint({"shards", "metadata.parquet"})

    def read(self, place: Place, part: Part) -> Listing:
        """The images of the wanted origin."""
        return _read(place.path, part.origin)


def _read(path: str, origin: str) -> Listing:
    """The kept images of a run: all, the originals, or those made (or retrieved) for it."""
    file = os.path.join(path, "metadata.parquet")
    if not os.path.isfile(file):
        raise DataError(f"{path} is a run that is not finished: it has no metadata.parquet; run the same command again")
    rows = _rows(file)
    labels = _labels(path, rows)
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for row in rows:
        if not _wanted(row, origin):
            continue
        name, label = str(row["file_name"]), row["label"]
        full = os.path.join(path, name)
        reason = NO_LABEL if label is None else OUT_OF_RANGE if not 0 <= label < len(labels) else file_reason(full)
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            samples.append(_sample(name, full, row))
    return Listing(format="run", labels=labels, samples=samples, skipped=skipped, has_origins=True)


def _wanted(row: Mapping[str, Any], origin: str) -> bool:
    kept = row.get("kept") is not False and row["file_name"] is not None
    return kept and (origin == "all" or (row["origin"] == "original") == (origin == "original"))


def _sample(name: str, full: str, row: Mapping[str, Any]) -> Sample:
    soft = row.get("soft_label")
    return Sample(
        id=name,
        label=row["label"],
        source=FileSource(full),
        soft_label=tuple(float(value) for value in soft) if soft else None,
        meta={key: row[key] for key in META if row.get(key) is not None},
    )


def _rows(file: str) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(file).names
        missing = [name for name in _NEEDED if name not in there]
        if missing:
            raise DataError(f"{file} has no column {', '.join(missing)}")
        wanted = [name for name in (*_NEEDED, *META, "class_name", "soft_label", "kept") if name in there]
        rows: list[dict[str, Any]] = pq.read_table(file, columns=list(dict.fromkeys(wanted))).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file} as parquet: {str(error).splitlines()[0]}") from None
    return rows


def _labels(path: str, rows: list[dict[str, Any]]) -> LabelSpace:
    """The classes that run.json lists, so that a class without a kept image keeps its label; else those of the rows."""
    try:
        with open(os.path.join(path, "run.json"), encoding="utf-8") as stream:
            told = json.load(stream)["classes"]
        return LabelSpace(tuple(class_info(row) for row in told))
    except (OSError, ValueError, KeyError, TypeError):
        names = {row["label"]: str(row.get("class_name") or row["label"]) for row in rows if row["label"] is not None}
        return LabelSpace.of([names.get(label, str(label)) for label in range(max(names, default=-1) + 1)])


def class_info(row: Mapping[str, Any]) -> ClassInfo:
    """A class from its entry in run.json, which also counts images."""
    known = {field.name: row[field.name] for field in dataclasses.fields(ClassInfo) if field.name in row}
    return ClassInfo(**{**known, "synonyms": tuple(row.get("synonyms", ()))})
