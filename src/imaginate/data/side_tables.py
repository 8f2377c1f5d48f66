"""Tables that stand next to images, on a disk or in an archive, and which says the classes: the table or the folders.

A table with a column of a name such as `label` says them. A column that is merely taken for the classes (`type`,
`text`) gives way to class folders that say otherwise. Folders that are the parts of one set (`images_001`) are none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from imaginate.data import splits
from imaginate.data.decoding import has_image_suffix
from imaginate.data.finding import DiskFinder, TreeFinder
from imaginate.data.labelling import SeveralLabelsError
from imaginate.data.layout import SHOWN, arranged
from imaginate.data.listing import NO_IMAGE, is_submission, printable, refuse_boxes
from imaginate.data.table_listing import PlacedTable, has_roles, is_asked, is_side_table, list_tables, placed, roles_of
from imaginate.data.tables import SUFFIXES, TableFile
from imaginate.errors import DataError, some
from imaginate.records import ImageSource, Listing, Part

# Tables that stand next to their images under these names: Hugging Face's image folders, Roboflow's export.
SIDE_TABLES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet", "_classes.csv")
NOT_READ = "table without classes"
DEEPEST = 2  # folders above a side table
MANY = 20


@dataclass(frozen=True, slots=True)
class SideTables:
    """What the tables next to images say: a listing, or none where the folders say the classes. `unread`: the tables
    that are not read, and `notes` on them."""

    listing: Listing | None = None
    notes: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()

    def with_notes(self, listing: Listing) -> Listing:
        """The listing of the folders, with what is said of the tables."""
        return replace(listing, notes=(*self.notes, *listing.notes)) if self.notes else listing


def read_side_tables(files: Mapping[str, ImageSource], part: Part, where: str, format: str) -> SideTables:
    """What the side tables among listed files say. Columns that are taken for classes by a guess give way to class
    folders that say otherwise."""
    tables = tables_in(files, part)
    if not tables:
        return SideTables()
    if not any(table.roles.is_guess for table in tables):
        listing = list_tables(tables, where, format)
        return SideTables(replace(listing, notes=(*about_folders(listing, tables), *listing.notes)))
    folders = _class_folders(name for name in files if has_image_suffix(name))
    if not folders:
        return SideTables(list_tables(tables, where, format))
    with suppress(DataError):
        listing = list_tables(tables, where, format)
        if _agrees(listing, folders):
            return SideTables(listing)
    classes = some(sorted(set(folders.values())), SHOWN)
    notes = (_about_unread(table, classes) for table in tables)
    return SideTables(None, tuple(dict.fromkeys(notes)), frozenset(table.file.path for table in tables))


def _about_unread(table: PlacedTable, classes: str) -> str:
    """What is said of a table that gives way to the class folders."""
    roles = table.roles
    columns = [roles.label] if roles.label else list(roles.marks)
    split = roles.split or next(iter(roles.flags), None)
    also = f", nor is its column {split!r} as splits" if split else ""
    way_on = f"; --label-column {roles.label} reads it" if roles.label else ""
    verb = "column {} is" if len(columns) == 1 else "columns {} are"
    return (
        f"{table.file.path}: its {verb.format(some([repr(c) for c in columns], SHOWN))} not read as classes{also}, for "
        f"the images are in class folders ({classes}){way_on}"
    )


def about_folders(listing: Listing, tables: Sequence[PlacedTable]) -> list[str]:
    """A note where the images of a table are in class folders that say something else."""
    folders = _class_folders(sample.id for sample in listing.samples)
    labels = _labels_by_folder(listing, folders)
    if all(len(own) < 2 for own in labels.values()):
        return []
    roles = tables[0].roles
    column = f"column {(roles.label or roles.name)!r}" if roles.label or roles.name else "columns"
    return [
        f"the classes are those of the table's {column}; the folders of the images ({some(sorted(labels), SHOWN)}) say "
        "otherwise, and are not read: --layout folders reads them as classes"
    ]


def tables_in(files: Mapping[str, ImageSource], part: Part) -> list[PlacedTable]:
    """The tables among listed files (members of an archive, or what is below a folder) that name the labels of others:
    those nearest to the root, one for each folder."""
    if part.layout != "auto":
        return []
    names = [name for name in files if name.rsplit("/", 1)[-1] in SIDE_TABLES and name.count("/") <= DEEPEST]
    by_folder: dict[str, str] = {}
    for name in sorted(names, key=lambda name: SIDE_TABLES.index(name.rsplit("/", 1)[-1])):
        by_folder.setdefault(name[: name.rfind("/") + 1], name)
    found = []
    nearest = min((folder.count("/") for folder in by_folder), default=0)
    for folder, name in sorted(by_folder.items()):
        table = TableFile(name, files[name].read(), part.encoding)
        if folder.count("/") == nearest and is_side_table(table, part):
            finder = TreeFinder(files, folder, name)
            found.append(placed(table, finder, part, splits.of_folder(folder.rstrip("/").rsplit("/", 1)[-1])))
    return found


def by_lone_table(
    problem: DataError, files: Mapping[str, ImageSource], part: Part, where: str, format: str, *, on_disk: bool = False
) -> Listing:
    """The images of a source without class folders, by the one table in it that names their labels; raises `problem`
    where there is none, or several. `on_disk`: `where` is a folder, and the table may name files outside of it."""
    known = _lone_tables(files, part) if part.layout == "auto" else []
    if len(known) != 1:
        raise problem
    return _by_table(known[0], files, part, where, format, on_disk=on_disk)


def _lone_tables(files: Mapping[str, ImageSource], part: Part) -> list[TableFile]:
    """The tables of labels among files, wherever they are and whatever their names; none where there are too many."""
    names = [name for name in sorted(files) if name.lower().endswith(SUFFIXES) and name.count("/") <= DEEPEST]
    found = [name for name in names if not is_submission(name)]
    tables = [TableFile(name, files[name].read(), part.encoding) for name in found[:MANY]]
    if len(found) > MANY:
        return []
    known = [table for table in tables if has_roles(table, part)]
    return known or [table for table in tables if is_side_table(table, part)]


def _by_table(
    table: TableFile, files: Mapping[str, ImageSource], part: Part, where: str, format: str, *, on_disk: bool
) -> Listing:
    name = table.path
    folder = name[: name.rfind("/") + 1]
    finder = DiskFinder(os.path.join(where, folder), name, folder) if on_disk else TreeFinder(files, folder, name)
    listing = list_tables([placed(table, finder, part)], where, format)
    return replace(listing, notes=(f"the labels are read from {name}, the only table of labels here", *listing.notes))


def or_lone_table(
    listing: Listing, files: Callable[[], Mapping[str, ImageSource]], part: Part, where: str, *, on_disk: bool = False
) -> Listing:
    """The classes of the folders; where these tell nothing of the images (all are in one, or in parts of one set) and
    the one table here names classes for most of them, those of the table; those of the table too where one of its
    columns is asked for. `files` is asked for in these cases alone. DataError where boxes or outlines are there in
    place of classes."""
    if part.layout != "auto":
        return listing
    if is_asked(part):
        return _as_asked(listing, files(), part, where, on_disk=on_disk)
    if len(listing.labels) != 1:
        return _or_table_across(listing, files, part, where, on_disk=on_disk)
    try:
        found = by_lone_table(DataError(""), files(), part, where, listing.format, on_disk=on_disk)
    except SeveralLabelsError:
        raise
    except DataError:
        found = listing
    if len(found.labels) > 1 and 2 * len(found.samples) > len(listing.samples):
        return found
    refuse_boxes(listing, where)
    return listing


def _as_asked(listing: Listing, files: Mapping[str, ImageSource], part: Part, where: str, *, on_disk: bool) -> Listing:
    """The classes of the one table that has the columns that are asked for; those of the folders without a table."""
    no_table = DataError("")
    try:
        return by_lone_table(no_table, files, part, where, listing.format, on_disk=on_disk)
    except DataError as problem:
        if problem is not no_table:
            raise
        return listing


def _or_table_across(
    listing: Listing, files: Callable[[], Mapping[str, ImageSource]], part: Part, where: str, *, on_disk: bool
) -> Listing:
    """The classes of the one table that names nearly all images, where the folders are parts of one set, or the table
    has a column of classes that cut across the folders; else those of the folders."""
    others = (item.id for item in listing.skipped if item.reason == NO_IMAGE)
    if not any(name.lower().endswith(SUFFIXES) and name.count("/") <= DEEPEST for name in others):
        return listing
    are_parts = splits.are_parts(listing.labels.names)
    there = files()
    known = [table for table in _lone_tables(there, part) if are_parts or _is_sure(table, part)]
    if len(known) > 1:
        known = [table for table in known if 2 * sum(1 for _ in table.rows(table.columns()[:1])) > len(listing.samples)]
    if len(known) != 1:
        return listing
    try:
        found = _by_table(known[0], there, part, where, listing.format, on_disk=on_disk)
    except DataError as error:
        if are_parts and isinstance(error, SeveralLabelsError):
            raise
        return listing
    if len(found.labels) < 2 or 10 * len(found.samples) < 9 * len(listing.samples):
        return listing
    if not (are_parts or part.label_column is not None or _cuts_across(found, listing)):
        return listing
    folders = some(list(listing.labels.names), SHOWN)
    say = f"the labels are read from {known[0].path}, and the folders ({folders}) are not read as classes"
    return replace(found, notes=(f"{say}; --layout folders reads them so", *found.notes[1:]))


def _is_sure(table: TableFile, part: Part) -> bool:
    """Whether a column of a table has a name that says classes."""
    try:
        roles = roles_of(table, part)
    except DataError:
        return False
    return roles is not None and not roles.is_guess


def _class_folders(names: Iterable[str]) -> dict[str, str]:
    """The class of each image by its folder; none where the folders are fewer than two classes, or parts of one set."""
    shown = [printable(name) for name in names]
    found = {name: of for name, (of, _) in zip(shown, arranged(shown).rows, strict=True) if of}
    classes = set(found.values())
    return found if len(classes) > 1 and not splits.are_parts(classes) else {}


def _labels_by_folder(listing: Listing, folders: Mapping[str, str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for sample in listing.samples:
        if sample.id in folders:
            found.setdefault(folders[sample.id], set()).add(sample.label)
    return found


def _agrees(listing: Listing, folders: Mapping[str, str]) -> bool:
    """Whether a table names most images, and each class is one folder."""
    labels = _labels_by_folder(listing, folders)
    used = [label for own in labels.values() for label in own]
    is_one_to_one = len(used) == len(set(used)) == len(labels)
    return is_one_to_one and 2 * len(listing.samples) > len(folders)


def _cuts_across(found: Listing, folders: Listing) -> bool:
    """Whether most folders hold several classes of a table, and most of its classes are in several folders."""
    names = folders.labels.names
    by_folder = _labels_by_folder(found, {sample.id: names[sample.label] for sample in folders.samples})
    by_label = [sum(label in own for own in by_folder.values()) for label in range(len(found.labels))]
    mixed = sum(len(own) > 1 for own in by_folder.values())
    return 2 * mixed > len(by_folder) and 2 * sum(count > 1 for count in by_label) > len(by_label)
