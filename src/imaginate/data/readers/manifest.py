"""A table of image paths and labels: csv, tsv, jsonl or parquet, paths relative to the table's own folder.

    file_name,label,split
    images/0001.jpg,tench,train

A column `class_name` next to a numeric `label` gives the names in the order of the numbers. A folder may hold such a
table (`metadata.csv`), or one in each of its split folders.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import ClassVar

from imaginate.data import features, splits
from imaginate.data.arrow import schema_of
from imaginate.data.finding import DiskFinder, UrlFinder
from imaginate.data.side_tables import SIDE_TABLES, about_folders
from imaginate.data.table_listing import PlacedTable, is_side_table, list_tables, placed, roles_of
from imaginate.data.tables import TEXT_TABLES, TableFile
from imaginate.data.urls import is_url
from imaginate.records import Listing, Part, Place

MANY_FOLDERS = 64


class Manifest:
    """Reads a table with a column of paths and a column of labels (or of class names)."""

    layout: ClassVar[str] = "a csv, tsv, jsonl or parquet file with columns of image paths and labels"
    priority: ClassVar[int] = 50

    def recognises(self, place: Place) -> bool:
        """A table's name, a parquet file without images, or a folder whose `metadata` tables name labels."""
        if place.kind == "folder":
            return not place.is_remote and _names_classes(place.path)
        if place.head[:4] == b"PAR1":
            return not place.is_remote and not features.holds_images(schema_of(place.path))
        return bool(place.head) and place.path.lower().endswith(TEXT_TABLES)

    def read(self, place: Place, part: Part) -> Listing:
        """The rows whose image files are there."""
        files = _side_tables(place.path, part) if place.kind == "folder" else [(place.path, "")]
        root = os.path.abspath(place.path) if place.kind == "folder" else ""
        tables = [_placed(file, folder, part, root) for file, folder in files]
        listing = list_tables(tables, place.path)
        notes = about_folders(listing, tables) if place.kind == "folder" else []
        return replace(listing, notes=(*notes, *listing.notes))


def _placed(file: str, folder: str, part: Part, root: str) -> PlacedTable:
    """A table, and where its files are looked for: that of a folder names files of this folder alone."""
    table = TableFile(file, encoding=part.encoding)
    if is_url(file):
        return placed(table, UrlFinder(os.path.dirname(file)), part)
    finder = DiskFinder(os.path.dirname(os.path.abspath(file)), file, f"{folder}/" if folder else "", root)
    return placed(table, finder, part, splits.of_folder(folder) if folder else None)


def _names_classes(path: str) -> bool:
    """Whether tables of a folder have columns whose names say classes. Others are read with the folders in view."""
    tables = [TableFile(file) for file, _ in _side_tables(path, Part())]
    found = [roles_of(table, Part()) for table in tables]
    return bool(found) and not any(roles is None or roles.is_guess for roles in found)


def _side_tables(path: str, part: Part) -> list[tuple[str, str]]:
    """(file, "") of the table of a folder that names a label for each image, or (file, folder) of those in the folders
    directly below it."""
    names = sorted(os.listdir(path))
    for name in SIDE_TABLES:
        if name in names and is_side_table(TableFile(os.path.join(path, name)), part):
            return [(os.path.join(path, name), "")]
    folders = [name for name in names if len(names) <= MANY_FOLDERS or splits.of_folder(name)]
    found = []
    for folder in folders:
        options = [os.path.join(path, folder, name) for name in SIDE_TABLES]
        table = next((o for o in options if os.path.isfile(o) and is_side_table(TableFile(o), part)), None)
        if table is not None:
            found.append((table, folder))
    return found
