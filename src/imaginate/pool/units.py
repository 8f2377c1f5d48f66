"""What a build works through: a source is a stream of units, a unit a stream of items; one unit is listed at a time.

A unit is a piece that is finished as a whole: one tar, one row group of a parquet file, one folder of images, one
shard of a clip-retrieval index. Its stamp changes when its content does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from imaginate.data.redirects import redirects
from imaginate.data.urls import is_url
from imaginate.errors import ImageError
from imaginate.files import content_hash, file_hash, short_hash
from imaginate.records import ImageSource, Place, Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


WHOLE = 64 * 2**20  # bytes of a file that are all hashed; of a larger one, blocks that are spread evenly
BLOCKS, BLOCK = 64, 2**16
# What file systems behind a URL say of a file, by which another one in its place is known.
_MARKS = (
    "ETag", "etag", "Content-MD5", "Digest", "md5Hash", "crc32c", "generation", "Last-Modified", "LastModified",
    "mtime",
)  # fmt: skip
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
    """One kind of thing that a pool is built from, in `pool/sources/<name>.py`. Class attributes:

    priority: kinds are asked from the lowest number to the highest; the first that recognises a place lists it.
    has_splits: whether a split can be asked for; where not, one that is named is refused.
    """

    priority: ClassVar[int]
    has_splits: ClassVar[bool]

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
    """What a file has in it: a file that was put in the place of another, with its size and its dates, has another
    stamp. A file of more than `WHOLE` bytes has its size, its times and blocks of it in the stamp, one behind a URL its
    size and what its server says of its content."""
    if is_url(path):
        return _remote_stamp(path)
    status = os.stat(path)
    if status.st_size <= WHOLE:
        return file_hash(path)
    with open(path, "rb") as file:
        starts = [(status.st_size - BLOCK) * i // (BLOCKS - 1) for i in range(BLOCKS)]
        found = content_hash(*(file.read(BLOCK) for start in starts if file.seek(start) >= 0))
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{found}"


def _remote_stamp(path: str) -> str:
    import fsspec

    system, place = fsspec.core.url_to_fs(path, **redirects(path))
    about = system.info(place)
    marks = {name: str(about[name]) for name in _MARKS if about.get(name)}
    return f"{about.get('size')}-{short_hash(marks)}" if marks else f"{about.get('size')}"


def folder_stamp(entries: list[os.DirEntry[str]]) -> str:
    """A hash of the names and stamps of the files of a folder."""
    return short_hash([[entry.name, _stamp_of(entry)] for entry in sorted(entries, key=lambda entry: entry.name)])


def _stamp_of(entry: os.DirEntry[str]) -> str:
    """The stamp of a file, or why there is none; whoever lists it says so."""
    try:
        return file_stamp(entry.path) if entry.is_file() else ""
    except OSError as error:
        return str(error.strerror)
