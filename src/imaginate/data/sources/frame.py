"""One frame of a file that holds several pictures: an ultrasound film, an enhanced CT series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.decoding import numbers_in
from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.rendering import Numbers, render
from imaginate.errors import ImageError
from imaginate.records import FileBacked, ImageSource


@dataclass(frozen=True, slots=True)
class FrameSource:
    """A frame of another source's file, counted from 1."""

    is_whole_file: ClassVar[bool] = False

    inner: ImageSource
    page: int

    @property
    def path(self) -> str:
        """The file that holds it; "" where that is none."""
        return self.inner.path if isinstance(self.inner, FileBacked) else ""

    def numbers(self) -> Numbers:
        """The numbers of the frame, as of a file of its own."""
        found = numbers_in(self.inner, self.page)
        if isinstance(found, bytes):
            raise ImageError("has no frames")
        return Numbers(found.values, found.kind, found.declared, found.is_inverted)

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8."""
        return render(self.numbers())

    def read(self) -> bytes:
        """The frame as PNG."""
        return encode_png(self.pixels())
