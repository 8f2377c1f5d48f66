"""What a build works through: a source is a stream of units, a unit a stream of items; one unit is listed at a time.

A unit is a piece that is finished as a whole: one tar, one row group of a parquet file, one folder of images, one
shard of a clip-retrieval index. Its stamp changes when its content does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from imaginate.files import short_hash as digest
from imaginate.records import ImageSource, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image of a source, not yet read. `bad` is the reason why there is none; `vector` is an embedding that the
    source brings along (a clip-retrieval index), so that nothing is embedded."""

    name: str
    source: ImageSource | None = None
    ref: str | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    vector: Any = None
    bad: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a source: `items()` lists it anew each time."""

    name: str
    stamp: str
    items: Callable[[], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that were read already (members of a stream)."""

    data: bytes

    def read(self) -> bytes:
        """The bytes."""
        return self.data


def file_stamp(path: str) -> str:
    """Size and time of change of a file; the path alone where the place does not tell."""
    if "://" in path:
        import fsspec

        with fsspec.open(path) as file:
            return f"{file.size}"
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}"


def folder_stamp(entries: list[os.DirEntry[str]]) -> str:
    """A hash of the names, sizes and times of the files of a folder."""
    rows = []
    for entry in sorted(entries, key=lambda entry: entry.name):
        status = entry.stat()
        rows.append([entry.name, status.st_size, status.st_mtime_ns])
    return digest(rows)
