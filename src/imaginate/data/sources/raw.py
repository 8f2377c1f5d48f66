"""One image of a file of bare numbers: a byte a value, no header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.rendering import Numbers, render
from imaginate.errors import ImageError
from imaginate.records import FileBacked, ImageSource

EIGHT_BITS = (0.0, 255.0)


@dataclass(frozen=True, slots=True)
class RawSource:
    """The bytes of another source as (h, w) or (h, w, 3) numbers. `order`: how they follow one another in the file:
    "hwc", "chw" (a colour after the other), "cwh" (the same, column by column)."""

    is_whole_file: ClassVar[bool] = False

    inner: ImageSource
    shape: tuple[int, ...]
    order: Literal["hwc", "chw", "cwh"] = "hwc"

    @property
    def path(self) -> str:
        """The file that holds it; "" where that is none."""
        return self.inner.path if isinstance(self.inner, FileBacked) else ""

    def numbers(self) -> Numbers:
        """The numbers as they are."""
        values = np.frombuffer(self.inner.read(), np.uint8)
        if values.size != int(np.prod(self.shape)):
            raise ImageError("damaged")
        if self.order == "hwc":
            return Numbers(values.reshape(self.shape), "uint8", EIGHT_BITS)
        height, width, colours = self.shape
        planes = values.reshape((colours, height, width) if self.order == "chw" else (colours, width, height))
        turn = (1, 2, 0) if self.order == "chw" else (2, 1, 0)
        return Numbers(np.ascontiguousarray(planes.transpose(turn)), "uint8", EIGHT_BITS)

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8."""
        return render(self.numbers())

    def read(self) -> bytes:
        """The image as PNG."""
        return encode_png(self.pixels())
