"""What a table of images says of each beyond its class: caption, URL, licence, author, scores. It needs no classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaginate.data.columns import LABELS, NAMES, PATHS, SPLITS, by_plain_name, first_of
from imaginate.data.finding import DiskFinder, Found, found_again
from imaginate.data.listing import printable
from imaginate.data.photometry import decide, through
from imaginate.data.spec import DataSpec
from imaginate.data.splits import canonical
from imaginate.data.tables import TEXT_TABLES, TableFile
from imaginate.errors import DataError
from imaginate.pool import fields
from imaginate.records import Sample, Skipped

_CLASS = "class_name"  # `fields` takes it for a caption where there is no other


@dataclass(frozen=True, slots=True)
class Said:
    """A row of a table: its file, what it says of it, and the split that it names."""

    found: Found
    row: Mapping[str, Any]
    split: str | None

    @property
    def id(self) -> str:
        """The id of the image in a dataset."""
        return printable(self.found.id)


@dataclass(frozen=True, slots=True)
class Captions:
    """The rows of a table of images; none of anything that says nothing beyond classes. `has_classes`: it is a dataset
    as every command reads one."""

    path: str
    rows: Sequence[Said] = ()
    has_classes: bool = True

    def by_id(self) -> dict[str, Mapping[str, Any]]:
        """The id of each image -> what is said of it."""
        return {one.id: one.row for one in self.rows}

    def images(self, split: str | None) -> tuple[list[Sample], list[Skipped]]:
        """The images of a table without classes, each once, in one range. DataError for a split that it lacks."""
        rows = [one for one in self.rows if split is None or one.split == canonical(split)]
        if not rows:
            raise DataError(f"{self.path} has no image of the split {split!r}")
        samples: dict[str, Sample] = {}
        skipped: list[Skipped] = []
        for one in rows:
            if one.found.reason or one.found.source is None:
                skipped.append(Skipped(one.id, one.found.reason or "no path"))
            else:
                samples.setdefault(one.id, Sample(id=one.id, label=0, source=one.found.source))
        rendering, _ = decide(list(samples.values()), DataSpec(path=self.path))
        return through(samples.values(), rendering) if rendering is not None else list(samples.values()), skipped


def captions_of(path: str) -> Captions:
    """What a local csv, tsv or jsonl file says; nothing for anything else."""
    if not (path.lower().endswith(TEXT_TABLES) and os.path.isfile(path)):
        return Captions(path)
    table = TableFile(path)
    header = table.header()
    there, wanted = by_plain_name(header), fields.columns(header)
    place, part = first_of(PATHS, there), first_of(SPLITS, there)
    if place is None or {name.lower() for name in wanted} <= {_CLASS}:
        return Captions(path)
    finder = DiskFinder(os.path.dirname(os.path.abspath(path)), path)
    rows = [
        Said(
            found_again(finder, str(row[place]).strip()),
            {name: row[name] for name in wanted if row.get(name) not in (None, "")},
            None if part is None else canonical(str(row.get(part))),
        )
        for row in table.rows(header)
        if row.get(place)
    ]
    return Captions(path, rows, first_of((*LABELS, *NAMES), there) is not None)
