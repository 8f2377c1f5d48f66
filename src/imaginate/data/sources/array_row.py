"""One image of an array that fills a published file: a pickle of CIFAR, a matrix of SVHN, a table of USPS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from imaginate.data.official.core.arrays import array
from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.rendering import Numbers, render
from imaginate.records import FileBacked, ImageSource


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """Row `index` of the array in a file. `form`: how the file holds it (`official/core/arrays.py`)."""

    is_whole_file: ClassVar[bool] = False

    file: ImageSource
    form: str
    index: int

    @property
    def path(self) -> str:
        """The file."""
        return self.file.path if isinstance(self.file, FileBacked) else ""

    def numbers(self) -> Numbers:
        """What the array holds, without the detour over PNG."""
        return Numbers(np.asarray(array(self.file, self.form)[self.index]), "uint8", (0.0, 255.0))

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8."""
        return render(self.numbers())

    def read(self) -> bytes:
        """The image as PNG."""
        return encode_png(self.pixels())
