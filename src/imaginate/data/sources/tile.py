"""One tile of a slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.slides import open_slide


@dataclass(frozen=True, slots=True)
class TileSource:
    """A square of the full resolution of a slide, `side` pixels, from its corner on."""

    is_whole_file: ClassVar[bool] = False

    path: str
    x: int
    y: int
    side: int

    def pixels(self) -> Pixels:
        """(side, side, 3) uint8. Raises ImageError."""
        return open_slide(self.path).region(self.x, self.y, self.side, self.side)

    def read(self) -> bytes:
        """The tile as PNG."""
        return encode_png(self.pixels())
