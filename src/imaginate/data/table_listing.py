"""Tables of images and labels -> a listing: one table, or one in each split folder, on a disk or in an archive."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from imaginate.data import splits
from imaginate.data.columns import (
    FOLLOWED,
    Roles,
    check_once,
    find_roles,
    is_export,
    is_prose,
    marked,
    said_split,
    split_of,
    unknown_columns,
)
from imaginate.data.duplicates import two_groups, two_labels
from imaginate.data.finding import MISSING, Finder, Found, found_again, of_label_studio
from imaginate.data.labelling import NO_LABEL, Labeller, from_line, group_in, listed, text
from imaginate.data.listing import printable
from imaginate.data.soft_labels import SoftLabels, column_in
from imaginate.data.table_splits import GAPS, Row, in_paths
from imaginate.data.tables import TableFile
from imaginate.errors import DataError
from imaginate.records import GROUP, Listing, Part, Sample, Skipped

_BLANKS = ("", None)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class PlacedTable:
    """A table, the roles of its columns, how its files are found, and the split that its folder says."""

    file: TableFile
    roles: Roles
    finder: Finder
    split: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of a table: its file, and its class as a name, or the number as text. `number` is None for a name.
    `shares`: its soft label as it is written. `gap`: the missing value (`NA`) that stands in place of its class."""

    found: Found | None
    class_name: Any
    number: str | None
    split: str | None
    line: int
    group: str | None = None
    shares: Any = None
    gap: str = ""


def roles_of(file: TableFile, part: Part) -> Roles | None:
    """The roles of a table's columns; None where it has no path or no label."""
    columns = file.columns()
    return find_roles(columns, file.first_rows(), part, file.path, file.rows) if columns else None


def is_side_table(file: TableFile, part: Part) -> bool:
    """Whether a file next to images is a table that names a label for each."""
    try:
        return roles_of(file, part) is not None
    except DataError:
        return is_asked(part)


def has_roles(file: TableFile, part: Part) -> bool:
    """Whether a table has the columns that are asked for."""
    try:
        return roles_of(file, part) is not None
    except DataError:
        return False


def is_asked(part: Part) -> bool:
    """Whether a column is asked for."""
    return part.path_column is not None or part.label_column is not None


def placed(file: TableFile, finder: Finder, part: Part, split: str | None = None) -> PlacedTable:
    """A table with its roles. DataError that shows the columns where a role is missing."""
    roles, bare = roles_of(file, part), replace(file, has_header=False)
    is_by_number = (part.path_column or "").isdigit()
    if (roles is None or is_by_number) and (by_files := _roles_by_files(bare, finder, part)) is not None:
        return PlacedTable(bare, by_files, finder, split)
    if roles is None:
        captions = [column for column in file.columns() if is_prose(column, file.first_rows(), file.rows)]
        raise DataError(unknown_columns(file.path, file.columns(), file.header(), captions))
    used = {roles.path, roles.label, roles.name, roles.split, *roles.marks, *roles.groups, *roles.flags}
    check_once(file.header(), used, file.path)
    return PlacedTable(file, roles, finder, split)


def _roles_by_files(file: TableFile, finder: Finder, part: Part) -> Roles | None:
    """The roles of a table whose very first line names an image, so that it is no header: the columns that are asked
    for by number, or the two that there are. None for any other table."""
    rows = [] if file.is_exact else file.first_rows()
    columns = file.columns() if rows else []
    path, label, group = (_numbered(columns, n) for n in (part.path_column, part.label_column, part.group_column))
    split, flags, about = said_split([c for c in columns if c not in (path, label, group)], rows, file.rows)
    others = [column for column in columns if column not in (split, group)]
    if len(others) == 2 and (path is None or label is None):
        paths = [column for column in others if _are_files(rows[:2], column, finder)]
        path = path or (paths[0] if len(paths) == 1 else None)
        label = label or next((column for column in others if column != path), None)
    if path is None or label is None or not _are_files(rows[:2], path, finder):
        return None
    read = (f"the paths are read from {path}, the classes from {label}", *about)
    return Roles(path, label, split=split, notes=read, groups=() if group is None else (group,), flags=flags)


def _numbered(columns: Sequence[str], word: str | None) -> str | None:
    """The column of this number, from 1; None where the word is none."""
    return columns[int(word) - 1] if word and word.isdigit() and 1 <= int(word) <= len(columns) else None


def _are_files(rows: Iterable[Row], column: str, finder: Finder) -> bool:
    """Whether the values of a column name images that are there."""
    return all(row[column] and finder.find(_path(row[column])).source is not None for row in rows)


def list_tables(tables: Sequence[PlacedTable], where: str, format: str = "manifest") -> Listing:
    """The rows of all tables whose image files are there."""
    entries, by_paths = _with_splits([entry for table in tables for entry in _entries(table)], tables)
    first = tables[0].roles
    labeller = Labeller(_ordered_names(where, entries), where=where, column=first.label or first.name or "")
    if not labeller.fixed:
        labeller.see(entry.class_name for entry in entries)
    soft = SoftLabels(_numbers(entries, labeller), len(labeller.space))
    samples, skipped = _samples(entries, labeller, soft)
    notes = [
        *dict.fromkeys(note for table in tables for note in _notes(table)),
        *by_paths,
        *_moved(entries),
        *labeller.notes,
    ]
    notes += [*_about_gaps(entries), *soft.notes]
    if not samples and (lost := _lost(entries, where, skipped)):
        raise DataError(lost)
    there = splits.ordered(entry.split for entry in entries if entry.split)
    return Listing(
        format=format, labels=labeller.space, samples=samples, skipped=skipped, splits=there, notes=tuple(notes),
        follows=FOLLOWED,
    )  # fmt: skip


def _entries(table: PlacedTable) -> Iterator[_Entry]:
    roles = table.roles
    mixed = column_in(table.file.columns())
    used = (roles.path, roles.label, roles.name, roles.split, *roles.marks, *roles.groups, *roles.flags, mixed)
    columns = [column for column in used if column]
    for line, row in enumerate(table.file.rows(columns)):
        path = "" if row.get(roles.path) in _BLANKS else _path(row[roles.path])
        gap = "" if table.file.is_exact else _gap(row, roles)
        name, number = (None, None) if gap else _class(row, roles, is_exact=table.file.is_exact)
        groups = [row.get(column) for column in roles.groups]
        yield _Entry(
            found=_find(table.finder, path) if path else None,
            class_name=name,
            number=number,
            split=split_of(row, roles) or table.split,
            line=line,
            group=group_in(groups if table.file.is_exact else (value for value in groups if value not in GAPS)),
            shares=row.get(mixed) or None if mixed else None,
            gap=gap,
        )


def _gap(row: Row, roles: Roles) -> str:
    """The missing value of R or pandas (`NA`, `nan`) in place of the class of a csv; "" where there is a class, be it
    one of that name with a number, or in quotes as an export writes it."""
    values = [str(row.get(column) or "").strip() for column in (roles.name, roles.label) if column]
    there = [value for value in values if value]
    return there[0] if there and all(value in GAPS for value in there) else ""


def _about_gaps(entries: Iterable[_Entry]) -> list[str]:
    """A note on missing values in place of classes, and how a class of that name is written."""
    counts = Counter(entry.gap for entry in entries if entry.gap)
    return [
        f"{count} row{'s say' if count > 1 else ' says'} {gap!r} in place of a class, which is read as no label; a "
        f'class of that name is written """{gap}""" in the csv'
        for gap, count in counts.most_common()
    ]


def _with_splits(entries: list[_Entry], tables: Sequence[PlacedTable]) -> tuple[list[_Entry], list[str]]:
    """The entries with the splits that the folders of their files say, where no column says one, and a note."""
    if any(entry.split for entry in entries) or any(is_export(table.file.columns()) for table in tables):
        return entries, []
    there = [entry for entry in entries if entry.found is not None and entry.found.source is not None]
    found = in_paths({(_folder(entry), str(entry.class_name)) for entry in there})
    if not found:
        return entries, []
    say = f"the splits are read from the folders of the paths ({', '.join(splits.ordered(found.values()))})"
    return [replace(entry, split=found.get(_folder(entry))) for entry in entries], [f"{say}: no column says them"]


def _folder(entry: _Entry) -> str:
    return entry.found.id.rpartition("/")[0] if entry.found is not None else ""


def _find(finder: Finder, path: str) -> Found:
    """The file of a path; `12.0` is the id 12 where there is no such file."""
    found = found_again(finder, path)
    return finder.find(text(path)) if found.reason == MISSING and text(path) != path else found


def _path(value: Any) -> str:
    """A path as text; numbers that a program wrote with a fraction (`12.0`) are ids."""
    if isinstance(value, Mapping):  # a struct of bytes and path, without bytes
        value = value.get("path") or ""
    return text(value) if isinstance(value, float) else of_label_studio(str(value).strip())


def _class(row: Row, roles: Roles, *, is_exact: bool) -> tuple[Any, str | None]:
    """The class as a name (or what else stands there) and its number, where the table has both."""
    if roles.marks:
        names = marked(row, roles.marks)
        return (names[0] if len(names) == 1 else names or None), None
    number = row.get(roles.label) if roles.label else None
    name = row.get(roles.name) if roles.name else None
    number = None if number in _BLANKS else number
    if name not in _BLANKS:
        shown = from_line(name) if isinstance(name, str) and not is_exact else name
        return shown, None if number is None or isinstance(number, (list, dict)) else text(number)
    if isinstance(number, str):
        number = listed(number if is_exact else from_line(number))
    return number, None if number is None or isinstance(number, (list, dict)) else text(number)


def _ordered_names(where: str, entries: Sequence[_Entry]) -> list[str] | None:
    """Names in the order of their numbers, where each name has one number; None where there are only names."""
    named = [entry for entry in entries if isinstance(entry.class_name, str) and entry.number is not None]
    pairs = {(entry.number or "", entry.class_name) for entry in named if entry.class_name}
    if not pairs or all(number == text(name) for number, name in pairs) or not all(n.isdigit() for n, _ in pairs):
        return None
    for own, other, what, of in ((0, 1, "label", "class names"), (1, 0, "class name", "labels")):
        found: dict[Any, Any] = {}
        for pair in sorted(pairs):
            if found.setdefault(pair[own], pair[other]) != pair[other]:
                two = f"{found[pair[own]]!r} and {pair[other]!r}"
                raise DataError(f"{where} gives one {what}, {pair[own]!r}, two {of}: {two}")
    return [name for _, name in sorted(pairs, key=lambda pair: int(pair[0]))]


def _numbers(entries: Sequence[_Entry], labeller: Labeller) -> dict[int, int]:
    """The label of each number that a table with soft labels gives its classes."""
    if all(entry.shares is None for entry in entries):
        return {}
    pairs = {(e.number, e.class_name) for e in entries if e.number and e.number.isdigit() and e.class_name}
    found = {int(number): labeller.label(name) for number, name in pairs}
    return {number: label for number, label in found.items() if isinstance(label, int)}


def _samples(entries: Iterable[_Entry], labeller: Labeller, soft: SoftLabels) -> tuple[list[Sample], list[Skipped]]:
    rows = [(entry, labeller.label(entry.class_name)) for entry in entries]
    known = [(entry.found.id, entry, label) for entry, label in rows if entry.found is not None]
    labels = _several((name, label) for name, _, label in known if isinstance(label, int))
    groups = _several((name, entry.group) for name, entry, label in known if entry.group and isinstance(label, int))
    seen: set[str] = set()
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for entry, label in rows:
        found = entry.found
        reason = label if isinstance(label, str) else "no path" if found is None else ""
        if not reason and found is not None and found.id in labels:
            reason = two_labels(labeller.space.names[one] for one in labels[found.id])
        if not reason and found is not None and found.id in groups:
            reason = two_groups(groups[found.id])
        reason = reason or ("listed twice" if found and found.id in seen else found.reason if found else NO_LABEL)
        if reason or found is None or found.source is None or isinstance(label, str):
            name = printable(found.id) if found is not None else f"row {entry.line + 1}"
            skipped.append(Skipped(name, reason, entry.split))
        else:
            seen.add(found.id)
            meta = {} if entry.group is None else {GROUP: entry.group}
            name = printable(found.id)
            samples.append(
                Sample(
                    id=name,
                    label=label,
                    source=found.source,
                    split=entry.split,
                    soft_label=soft.read(entry.shares),
                    meta=meta,
                )
            )
    return samples, skipped


def _several(values: Iterable[tuple[str, _Value]]) -> dict[str, set[_Value]]:
    """The names under which more than one value stands, with all of them."""
    first: dict[str, _Value] = {}
    found: dict[str, set[_Value]] = {}
    for name, value in values:
        if (known := first.setdefault(name, value)) != value:
            found.setdefault(name, {known}).add(value)
    return found


def _notes(table: PlacedTable) -> list[str]:
    name = os.path.basename(table.file.path)
    no_header = table.file.columns()[:1] == ["column 1"]
    return [f"{name}: {note}" for note in (*(["it has no header"] if no_header else []), *table.roles.notes)]


def _moved(entries: Iterable[_Entry]) -> list[str]:
    """A note where files are at other places than the table says."""
    moved = [entry.found for entry in entries if entry.found is not None and entry.found.is_other]
    if not moved:
        return []
    return [f"{len(moved)} images are at other places than the table says: {moved[0].tried} is read as {moved[0].id}"]


def _lost(entries: Iterable[_Entry], where: str, skipped: Sequence[Skipped]) -> str:
    """The line for a table of which no file is there: the first path that was tried, and where."""
    missing = [entry.found for entry in entries if entry.found is not None and entry.found.reason == MISSING]
    if not missing:
        return ""
    count = len(missing)
    return (
        f"no usable image in {where}: {count} of {len(skipped)} rows name a missing file; the first, "
        f"{missing[0].id}, was looked for at {missing[0].tried} and below the table's folder; paths start at that "
        "folder, and another column is named with --path-column"
    )
