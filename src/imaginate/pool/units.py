"""What a build works through: a source is a stream of units, a unit a stream of items; one unit is listed at a time.

A unit is a piece that is finished as a whole: one tar, one row group of a parquet file, one folder of images, one
shard of a clip-retrieval index. Its stamp changes when its content does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from imaginate.data.urls import is_url
from imaginate.errors import ImageError
from imaginate.files import short_hash
from imaginate.records import ImageSource, Place, Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


KEYS = "image_path holds a key of a tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image of a source, not yet read. `bad` is the reason why there is none; `vector` is an embedding that the
    source brings along (a clip-retrieval index), so that nothing is embedded."""

    name: str
    source: ImageSource | None = None
    ref: str | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    vector: NDArray[np.float32] | None = None
    bad: str = ""

    def read(self) -> bytes:
        """The image's bytes. Raises ImageError, also for an item that came with a reason."""
        if self.bad or self.source is None:
            raise ImageError(self.bad or "no image")
        return self.source.read()


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


class PoolSource(Protocol):
    """One kind of thing that a pool is built from, in `pool/sources/<name>.py`. Class attribute:

    priority: kinds are asked from the lowest number to the highest; the first that recognises a place lists it.
    """

    priority: ClassVar[int]

    def recognises(self, place: Place) -> bool:
        """Whether the place is of this kind."""
        ...

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """Its units, in a fixed order. Raises DataError where it cannot be read."""
        ...


def base_name(path: str) -> str:
    """The last part of a path, with which the names of its units begin."""
    return os.path.basename(os.path.normpath(path))


def file_stamp(path: str) -> str:
    """Size and times of change of a file; the size alone behind a URL. The last of them cannot be set: a file that was
    put in the place of another, with its date, has another one."""
    if is_url(path):
        import fsspec

        with fsspec.open(path) as file:
            return f"{file.size}"
    status = os.stat(path)
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def folder_stamp(entries: list[os.DirEntry[str]]) -> str:
    """A hash of the names, sizes and times of the files of a folder."""
    rows = []
    for entry in sorted(entries, key=lambda entry: entry.name):
        status = entry.stat()
        rows.append([entry.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns])
    return short_hash(rows)
