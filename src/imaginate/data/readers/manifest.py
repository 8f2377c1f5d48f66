"""A table of image paths and labels: csv, tsv, jsonl or parquet, paths relative to the table's own folder.

    file_name,label,split
    images/0001.jpg,tench,train

A column `class_name` next to a numeric `label` gives the names in the order of the numbers.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from imaginate.data import features, splits
from imaginate.data.arrow import schema_of
from imaginate.data.duplicates import two_labels
from imaginate.data.labelling import NO_LABEL, Labeller, text
from imaginate.data.listing import printable
from imaginate.data.scanning import file_reason
from imaginate.data.sources.file import FileSource
from imaginate.data.urls import is_url, open_binary
from imaginate.errors import DataError
from imaginate.records import Listing, Part, Place, Sample, Skipped

_PATHS = ("file_name", "filename", "path", "file", "image_path", "filepath", "file_path", "image", "img", "name")
_LABELS = ("label", "labels", "class", "class_id", "category", "target", "y")
_NAMES = ("class_name", "label_name", "category_name")
_SPLITS = ("split", "subset", "partition", "set")
_TEXT_TABLES = (".csv", ".tsv", ".jsonl")
_SUFFIXES = (*_TEXT_TABLES, ".parquet")
_BLANKS = ("", None)


class Manifest:
    """Reads a table with a column of paths and a column of labels (or of class names)."""

    layout: ClassVar[str] = "a csv, tsv, jsonl or parquet file with columns of image paths and labels"
    priority: ClassVar[int] = 50

    def recognises(self, place: Place) -> bool:
        """A table's name, a parquet file without images, or a folder whose `metadata` table names labels."""
        if place.kind == "folder":
            return not place.is_remote and _metadata_file(place.path) is not None
        if place.head[:4] == b"PAR1":
            return not place.is_remote and features.find(schema_of(place.path)) is None
        return bool(place.head) and place.path.lower().endswith(_TEXT_TABLES)

    def read(self, place: Place, part: Part) -> Listing:
        """The rows whose image files are there."""
        return _read((_metadata_file(place.path) if place.kind == "folder" else None) or place.path)


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which column is what; `label` or `name` may be missing, not both."""

    path: str
    label: str | None
    name: str | None
    split: str | None

    @property
    def all(self) -> list[str]:
        """The columns there are."""
        return [column for column in (self.path, self.label, self.name, self.split) if column]


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table; a class is its name, or the number as text."""

    path: str
    class_name: str
    number: Any
    split: str | None


def _roles(columns: Iterable[str | None]) -> _Roles | None:
    """The roles of the columns, whatever their case; None where the path or the label is missing."""
    there = {column.strip().lower(): column for column in columns if column}

    def first(options: Sequence[str]) -> str | None:
        return next((there[option] for option in options if option in there), None)

    path, label, name = first(_PATHS), first(_LABELS), first(_NAMES)
    if path is None or (label is None and name is None) or path == label:
        return None
    return _Roles(path, label, name, first(_SPLITS))


def _metadata_file(folder: str) -> str | None:
    """The `metadata.csv` (or tsv, jsonl, parquet) of a folder that names a label for each image."""
    files = [os.path.join(folder, "metadata" + suffix) for suffix in _SUFFIXES]
    return next((file for file in files if os.path.isfile(file) and _has_roles(file)), None)


def _has_roles(file: str) -> bool:
    """Whether a file is a table with a path and a label column."""
    try:
        return _roles(_columns(file)) is not None
    except DataError:
        return False


def _read(file: str) -> Listing:
    """The rows of the table whose image files are there."""
    columns = _columns(file)
    found = _roles(columns)
    if found is None:
        raise DataError(f"{file} has no image path and label columns; it has {', '.join(columns) or 'nothing'}")
    rows = [_row(values, found) for values in _rows(file, found)]
    labeller = Labeller(_ordered_names(file, rows))
    if not labeller.fixed:
        labeller.see(row.class_name for row in rows)
    samples, skipped = _samples(file, rows, labeller)
    there = splits.ordered(row.split for row in rows if row.split)
    return Listing(format="manifest", labels=labeller.space, samples=samples, skipped=skipped, splits=there)


def _row(values: Mapping[str, Any], found: _Roles) -> _Row:
    number = values.get(found.label) if found.label else None
    name = values.get(found.name) if found.name else None
    split = values.get(found.split) if found.split else None
    path = values.get(found.path)
    return _Row(
        path="" if path in _BLANKS else str(path).strip(),
        class_name=text(name) if name not in _BLANKS else "" if number in _BLANKS else text(number),
        number=None if number in _BLANKS else text(number),
        split=splits.canonical(str(split)) if split not in _BLANKS else None,
    )


def _ordered_names(file: str, rows: Sequence[_Row]) -> list[str] | None:
    """Names in the order of their numbers, where each name has one number; None where there are only names."""
    pairs = {(row.number, row.class_name) for row in rows if row.number is not None and row.class_name}
    if not pairs or all(number == name for number, name in pairs) or not all(n.isdigit() for n, _ in pairs):
        return None
    if len({number for number, _ in pairs}) < len(pairs) or len({name for _, name in pairs}) < len(pairs):
        raise DataError(f"{file} gives one label two class names, or one class name two labels")
    return [name for _, name in sorted(pairs, key=lambda pair: int(pair[0]))]


def _samples(file: str, rows: Sequence[_Row], labeller: Labeller) -> tuple[list[Sample], list[Skipped]]:
    folder = os.path.dirname(file if is_url(file) else os.path.abspath(file))
    under: dict[str, set[str]] = {}
    for row in rows:
        under.setdefault(row.path, set()).add(row.class_name)
    seen: set[str] = set()
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for number, row in enumerate(rows):
        full = row.path if is_url(row.path) else os.path.join(folder, row.path)
        label = labeller.label(row.class_name) if row.class_name else NO_LABEL
        reason = label if isinstance(label, str) else "no path" if not row.path else ""
        if not reason and len(under[row.path] - {""}) > 1:
            reason = two_labels(under[row.path] - {""})
        reason = reason or ("listed twice" if row.path in seen else file_reason(full))
        if reason or isinstance(label, str):
            skipped.append(Skipped(printable(row.path) or f"row {number + 1}", reason, row.split))
        else:
            seen.add(row.path)
            samples.append(Sample(id=printable(row.path), label=label, source=FileSource(full), split=row.split))
    return samples, skipped


def _columns(file: str) -> list[str]:
    if file.endswith(".parquet"):
        return list(schema_of(file).names)
    for values in _text_rows(file):
        return [column for column in values if column]
    return []


def _rows(file: str, found: _Roles) -> Iterator[Mapping[str, Any]]:
    if file.endswith(".parquet"):
        import pyarrow.parquet as pq

        rows: list[Mapping[str, Any]] = pq.read_table(file, columns=found.all, use_threads=False).to_pylist()
        yield from rows
    else:
        yield from _text_rows(file)


def _text_rows(file: str) -> Iterator[Mapping[str, Any]]:
    """The lines of a csv, tsv or jsonl; DataError with the line number where one is broken."""
    number = 0
    try:
        with open_binary(file) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as stream:
            if file.endswith(".jsonl"):
                for line in stream:
                    if line.strip():
                        yield _object(json.loads(line))
                    number += 1
            else:
                header = stream.readline()
                stream.seek(0)
                reader = csv.DictReader(stream, delimiter=_delimiter(file, header), strict=True)
                for values in reader:
                    number = reader.line_num
                    yield values
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"cannot read {file} after line {number}: {error}") from None


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a line is not a JSON object")
    return value


def _delimiter(file: str, header: str) -> str:
    return "\t" if file.endswith(".tsv") else max(",;\t|", key=header.count)
