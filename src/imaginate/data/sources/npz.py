"""One image of an array in an npz, such as MedMNIST's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.arrays import array
from imaginate.data.pixels import Pixels, encode_png, to_rgb


@dataclass(frozen=True, slots=True)
class NpzSource:
    """Row `index` of the array `key`."""

    is_whole_file: ClassVar[bool] = False

    path: str
    key: str
    index: int

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8, without the detour over PNG."""
        return to_rgb(array(self.path, self.key)[self.index])

    def read(self) -> bytes:
        """The image as PNG."""
        return encode_png(self.pixels())
