"""A stretch of an archive in an archive: a member of a `.tar.gz` in a zip. The inner archive is unpacked in memory."""

from __future__ import annotations

import zlib
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, cast

from imaginate.data.reading import MAX_BYTES
from imaginate.errors import ImageError
from imaginate.records import FileBacked, ImageSource

MOST = 4 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class NestedSource:
    """`size` bytes from `offset` of the unpacked content of another source."""

    is_whole_file: ClassVar[bool] = False

    outer: ImageSource
    offset: int
    size: int

    @property
    def path(self) -> str:
        """The outermost file."""
        return self.outer.path if isinstance(self.outer, FileBacked) else ""

    def read(self) -> bytes:
        """The stretch's bytes."""
        data = whole(self.outer)[self.offset : self.offset + self.size]
        if len(data) < self.size:
            raise ImageError("damaged archive")
        return data


def whole(outer: ImageSource) -> bytes:
    """The bytes of a source, unpacked where they are gzip; those asked for last are kept. Raises ImageError."""
    return _whole(cast(Hashable, outer))


@lru_cache(maxsize=1)
def _whole(outer: ImageSource) -> bytes:
    data = outer.read()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        found = zlib.decompressobj(31).decompress(data, MOST)
    except zlib.error:
        raise ImageError("damaged archive") from None
    if len(found) == MOST:
        raise ImageError("file too large")
    return found
