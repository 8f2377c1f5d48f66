"""An image whose numbers become a picture as it was decided for its whole source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.decoding import decode, rendered
from imaginate.data.pixels import Pixels, encode_png
from imaginate.data.rendering import Rendering
from imaginate.records import FileBacked, ImageSource


@dataclass(frozen=True, slots=True)
class RenderedSource:
    """Another source's image, seen through a rendering. What is an ordinary picture already stays as it is."""

    is_whole_file: ClassVar[bool] = False  # its bytes may be others than the file's

    inner: ImageSource
    rendering: Rendering

    @property
    def path(self) -> str:
        """The file that holds it; "" where that is none."""
        return self.inner.path if isinstance(self.inner, FileBacked) else ""

    def pixels(self) -> Pixels:
        """(h, w, 3) uint8."""
        found = rendered(self.inner, self.rendering)
        return decode(found) if isinstance(found, bytes) else found

    def read(self) -> bytes:
        """The bytes of an ordinary picture, PNG of what was rendered."""
        found = rendered(self.inner, self.rendering)
        return found if isinstance(found, bytes) else encode_png(found)
