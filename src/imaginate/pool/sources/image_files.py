"""A folder of images at any depth, with captions and metadata next to them; one unit a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

from imaginate.data import layout
from imaginate.data.decoding import has_image_suffix
from imaginate.data.listing import printable
from imaginate.data.sources.file import FileSource
from imaginate.limits import parse_json
from imaginate.pool import refs
from imaginate.pool.fields import as_taken, facts
from imaginate.pool.units import Item, Unit, base_name, folder_stamp
from imaginate.records import Place

_COMPANIONS = (".txt", ".json", ".parquet", ".csv", ".yaml", ".yml", ".md", ".npy", ".html")


class ImageFiles:
    """Every image file below a folder."""

    priority: ClassVar[int] = 50
    has_splits: ClassVar[bool] = False

    def recognises(self, place: Place) -> bool:
        """Any local folder that is nothing else."""
        return place.kind == "folder" and not place.is_remote

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """Parents before children; there are no splits."""
        return _folders(place.path)


def _folders(root: str) -> Iterator[Unit]:
    """One unit a folder that holds files, parents before children; nothing but one listing is in memory."""
    base = base_name(root)
    for folder, below, names in os.walk(root, followlinks=False):
        below[:] = sorted(name for name in below if not layout.is_system_folder(name))
        if not names:
            continue
        inside = os.path.relpath(folder, root)
        prefix = base if inside == "." else f"{base}/{inside.replace(os.sep, '/')}"
        entries = [entry for entry in os.scandir(folder) if entry.is_file() and not layout.is_system_file(entry.name)]
        if entries:
            name = printable(prefix)
            yield Unit(f"{name}/", folder_stamp(entries), lambda f=folder, p=name: _files(f, p))  # type: ignore[misc]


def _files(folder: str, prefix: str) -> Iterator[Item]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.isfile(path) or layout.is_system_file(name) or layout.is_own_file(name):
            continue
        if has_image_suffix(name):
            row = _row_next_to(os.path.splitext(path)[0])
            source = as_taken(FileSource(os.path.abspath(path)), row)
            yield Item(name=f"{prefix}/{printable(name)}", source=source, ref=refs.encoded(source), facts=facts(row))
        elif not name.lower().endswith(_COMPANIONS):
            yield Item(name=f"{prefix}/{printable(name)}", bad="not an image")


def _row_next_to(stem: str) -> dict[str, Any]:
    """Metadata and caption from `stem.json` and `stem.txt`, as img2dataset writes them."""
    row: dict[str, Any] = {}
    if os.path.exists(stem + ".json"):
        try:
            with open(stem + ".json", encoding="utf-8") as file:
                found = parse_json(file.read())
            row = found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            row = {}
    if os.path.exists(stem + ".txt"):
        with open(stem + ".txt", encoding="utf-8", errors="replace") as file:
            row["caption"] = file.read(10_000)
    return row
