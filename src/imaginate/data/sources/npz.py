"""One image of an array in an npz, such as MedMNIST's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from imaginate.data.arrays import array
from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.rendering import Numbers, render


@dataclass(frozen=True, slots=True)
class NpzSource:
    """Row `index` of the array `key`."""

    is_whole_file: ClassVar[bool] = False

    path: str
    key: str
    index: int

    def numbers(self) -> Numbers:
        """What the array holds, without the detour over PNG."""
        values = array(self.path, self.key)[self.index]
        flat = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
        return Numbers(np.asarray(flat), str(flat.dtype))

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8."""
        return render(self.numbers())

    def read(self) -> bytes:
        """The image as PNG."""
        return encode_png(self.pixels())
