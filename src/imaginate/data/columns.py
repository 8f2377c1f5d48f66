"""Which column of a table of images is what: by the names that people and tools use, by what is in it, or as asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaginate.data.decoding import has_image_suffix
from imaginate.errors import DataError
from imaginate.records import GROUP, Part
from imaginate.settings import nearest

PATHS = (
    "file_name", "filename", "path", "file", "image_path", "filepath", "file_path", "image", "img", "image_name",
    "image_file", "image_filename", "img_name", "img_path", "img_file", "imagepath", "photo", "picture", "image_index",
    "image_url", "url", "uri", "id_code", "image_id", "img_id", "isic_id", "name", "id",
)  # fmt: skip
LABELS = (
    "label", "labels", "class", "class_id", "category", "target", "y", "classes", "categories", "targets", "diagnosis",
    "dx", "choice", "species", "breed", "variety", "class_label", "label_id", "category_id", "ground_truth",
    "finding_labels", "tag", "tags", "annotation", "answer", "type",
)  # fmt: skip
NAMES = ("class_name", "label_name", "category_name", "class_names")
SPLITS = ("split", "subset", "partition", "set")
FOLLOWED = ("path_column", "label_column")  # what every reader of columns follows
_MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column is what. The class is in `label` (a number or name), in `name`, or in `marks`: a column a class,
    with a 1 in that of the image's own. `notes`: what was concluded from the content alone. `groups`: the columns whose
    first value is shared by images that belong together: the one that is asked for, or those of a table that `export`
    wrote."""

    path: str
    label: str | None = None
    name: str | None = None
    split: str | None = None
    marks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def find_roles(columns: Sequence[str], rows: Sequence[Row], part: Part, where: str) -> Roles | None:
    """The roles of the columns, whatever their case; None where the path or the label is missing. `rows`: the first.

    DataError for a column that is asked for and not there.
    """
    there = by_plain_name(columns)
    notes: list[str] = []
    split = first_of(SPLITS, there)
    path = asked_column(part.path_column, columns, where, "--path-column") or first_of(PATHS, there)
    if path is None and len(found := [c for c in columns if _holds_images(c, rows)]) == 1:
        path = found[0]
        notes.append(f"the paths are read from the column {path!r}, the only one with names of images")
    label = asked_column(part.label_column, columns, where, "--label-column")
    group = asked_column(part.group_column, columns, where, "--group-column")
    groups = groups_of(columns, group)
    name = None if label else first_of(NAMES, there)
    label = label or first_of([word for word in LABELS if there.get(word) not in (path, split)], there)
    if path is None or path == label:
        return None
    if label is not None or name is not None:
        return Roles(path, label, name, split, notes=tuple(notes), groups=groups)
    others = [column for column in columns if column and column not in (path, split, group)]
    if len(others) == 1:
        notes.append(f"the classes are read from the column {others[0]!r}, the only one left")
        return Roles(path, others[0], None, split, notes=tuple(notes), groups=groups)
    marks = tuple(column for column in others if _holds_marks(column, rows))
    if len(marks) > 1:
        return Roles(path, None, None, split, marks, tuple(notes), groups)
    return None


def groups_of(columns: Sequence[str], asked: str | None = None) -> tuple[str, ...]:
    """The columns that say what belongs together: the one that is asked for; in an export of a run the patient or
    slide, else the seed image."""
    if asked is not None:
        return (asked,) if asked in columns else ()
    return tuple(name for name in (GROUP, "seed_image") if name in columns) if is_export(columns) else ()


def is_export(columns: Sequence[str]) -> bool:
    """Whether these are the columns of a table that `export` wrote."""
    return {"origin", "seed_image", "rng_seed"} <= set(columns)


def marked(row: Row, marks: Sequence[str]) -> list[str]:
    """The classes whose column has a 1 in this row."""
    return [column.strip() for column in marks if _MARKS.get(str(row.get(column)).strip().lower(), False)]


def check_once(names: Sequence[str], used: Collection[str | None], where: str) -> None:
    """DataError where a column that is read is there twice: a row keeps the value of the last one alone."""
    for name, count in Counter(names).items():
        if count > 1 and name in used:
            raise DataError(f"{where} has {count} columns of the name {name!r}: rename or remove all but one")


def unknown_columns(where: str, columns: Sequence[str], header: Sequence[str] = ()) -> str:
    """The line for a table without the columns that are needed: what is read, how to name others, what there is.
    `header`: the names that stand at its head, above no row where there are no `columns`."""
    if header and not columns:
        return f"{where} has the columns {', '.join(header)}, and no row"
    known = f"{', '.join(PATHS[:6])}, ... and {', '.join(LABELS[:6])}, ... are known"
    return (
        f"{where} needs --path-column and --label-column ({known}): it has no image path and label columns; "
        f"it has {', '.join(columns) or 'nothing'}"
    )


def by_plain_name(columns: Sequence[str]) -> dict[str, str]:
    """Each column by its name without case, blanks and dashes; of two alike the first."""
    return {_plain(column): column for column in reversed(columns) if column}


def _plain(column: str) -> str:
    return re.sub(r"[\s\-]+", "_", column.strip().lower())


def first_of(options: Sequence[str], there: Mapping[str, str]) -> str | None:
    return next((there[option] for option in options if option in there), None)


def asked_column(name: str | None, columns: Sequence[str], where: str, flag: str) -> str | None:
    """The column of this name, or number (from 1), as asked; None where nothing was asked for. DataError where it is
    not there."""
    if name is None:
        return None
    by_name = {column.strip().lower(): column for column in columns if column}
    if name.strip().lower() in by_name:
        return by_name[name.strip().lower()]
    if name.isdigit() and 1 <= int(name) <= len(columns):
        return columns[int(name) - 1]
    raise DataError(f"{where} has no column {name!r} ({flag}){nearest(name, [c for c in columns if c])}")


def _holds_images(column: str, rows: Sequence[Row]) -> bool:
    """Whether most values are names of image files."""
    values = [str(row.get(column)) for row in rows]
    return bool(values) and 2 * sum(map(has_image_suffix, values)) > len(values)


def _holds_marks(column: str, rows: Sequence[Row]) -> bool:
    """Whether every value says yes or no."""
    return bool(rows) and all(str(row.get(column)).strip().lower() in _MARKS for row in rows)
