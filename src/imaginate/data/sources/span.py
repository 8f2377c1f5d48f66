"""A stretch of a larger file: a member of an uncompressed tar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.reading import read_span
from imaginate.errors import ImageError


@dataclass(frozen=True, slots=True)
class SpanSource:
    """`size` bytes of a file from `offset`."""

    is_whole_file: ClassVar[bool] = False

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """The stretch's bytes."""
        data = read_span(self.path, self.offset, self.size)
        if len(data) < self.size:
            raise ImageError("damaged archive")
        return data
