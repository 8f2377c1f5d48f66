"""Camera raws, developed at their full size by rawpy with the white balance of the camera; never their thumbnail.

Those that are TIFFs are recognised by their tags, in `decoders/tiff.py`.
"""

from __future__ import annotations

from typing import ClassVar

from imaginate.data import known_formats
from imaginate.data.developing import develop
from imaginate.data.known_formats import is_raw
from imaginate.data.pixels import Pixels


class CameraRaw:
    """Develops what the first bytes show to be a raw."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 30

    def recognises(self, head: bytes) -> bool:
        """By the first bytes, where rawpy is installed."""
        return is_raw(head) and known_formats.is_installed("rawpy")

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB. Raises ImageError."""
        return develop(data)
