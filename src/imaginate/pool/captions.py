"""What a table of images says of each beyond its class: caption, URL, licence, author, scores. It needs no classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from imaginate.data.columns import LABELS, NAMES, PATHS, SPLITS
from imaginate.data.finding import DiskFinder, Found
from imaginate.data.listing import printable
from imaginate.data.photometry import decide, through
from imaginate.data.spec import DataSpec
from imaginate.data.splits import canonical
from imaginate.data.tables import TEXT_TABLES, TableFile
from imaginate.errors import DataError
from imaginate.pool import fields
from imaginate.records import Sample, Skipped

_CLASS = "class_name"  # `fields` takes it for a caption where there is no other


def is_table(path: str) -> bool:
    """Whether a path is that of a local csv, tsv or jsonl file."""
    return path.lower().endswith(TEXT_TABLES) and os.path.isfile(path)


def said_by(path: str) -> dict[str, Mapping[str, Any]]:
    """The id of each image of a table -> its row, where the table has more than classes; none of anything else."""
    if not is_table(path):
        return {}
    found = _rows(path, None)
    return {printable(one.id): row for one, row in found if set(map(str.lower, row)) - {_CLASS}}


def is_unlabelled(path: str) -> bool:
    """Whether a table names images and says things of them, and no class."""
    if not is_table(path):
        return False
    there = {column.strip().lower() for column in TableFile(path).header()}
    is_named = bool(there & set(PATHS)) and bool(fields.columns(sorted(there - {_CLASS})))
    return is_named and not there & {*LABELS, *NAMES}


def unlabelled(path: str, split: str | None) -> tuple[list[Sample], list[Skipped]]:
    """The images of a table without classes, each once, in one range. DataError for a split that it does not have."""
    samples: dict[str, Sample] = {}
    skipped: list[Skipped] = []
    for found, _ in _rows(path, split):
        name = printable(found.id)
        if found.reason or found.source is None:
            skipped.append(Skipped(name, found.reason or "no path"))
        else:
            samples.setdefault(name, Sample(id=name, label=0, source=found.source))
    rendering, _ = decide(list(samples.values()), DataSpec(path=path))
    return through(samples.values(), rendering) if rendering is not None else list(samples.values()), skipped


def _rows(path: str, split: str | None) -> list[tuple[Found, Mapping[str, Any]]]:
    table = TableFile(path)
    header = table.header()
    plain = {column.strip().lower(): column for column in header}
    place = next((plain[word] for word in PATHS if word in plain), None)
    if place is None:
        return []
    part = next((plain[word] for word in SPLITS if word in plain), None)
    finder, wanted = DiskFinder(os.path.dirname(os.path.abspath(path)), path), fields.columns(header)
    rows = [row for row in table.rows(header) if row.get(place)]
    if split is not None:
        rows = [row for row in rows if part is not None and canonical(str(row.get(part))) == canonical(split)]
        if not rows:
            raise DataError(f"{path} has no image of the split {split!r}")
    return [(finder.find(str(row[place]).strip()), {name: row.get(name) for name in wanted}) for row in rows]
