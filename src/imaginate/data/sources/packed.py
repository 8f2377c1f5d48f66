"""A stretch of the unpacked content of a compressed file: a member of a `.tar.gz`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.unpacked import Packing, unpacked
from imaginate.errors import ImageError


@dataclass(frozen=True, slots=True)
class PackedSource:
    """`size` bytes from `offset` of the unpacked content; the compressed stream begins at `start` of the file."""

    is_whole_file: ClassVar[bool] = False

    path: str
    packing: Packing
    start: int
    offset: int
    size: int

    def read(self) -> bytes:
        """The stretch's bytes."""
        data = unpacked(self.path, self.packing, self.start, self.offset, self.size)
        if len(data) < self.size:
            raise ImageError("damaged archive")
        return data
