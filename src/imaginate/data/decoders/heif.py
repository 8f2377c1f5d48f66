"""HEIC and HEIF, as phones write them, by pillow-heif, which turns them upright itself."""

from __future__ import annotations

import io
from typing import Any, ClassVar

import numpy as np

from imaginate.data import known_formats
from imaginate.data.known_formats import is_heif
from imaginate.data.picture_files import check_size
from imaginate.data.pixels import Pixels, on_white
from imaginate.errors import ImageError


class HeifPicture:
    """Decodes the main picture of a file, on white where it is transparent."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 20

    def recognises(self, head: bytes) -> bool:
        """By the brand, where pillow-heif is installed."""
        return is_heif(head) and known_formats.is_installed("pillow_heif")

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB. Raises ImageError."""
        import pillow_heif

        try:
            file: Any = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
            check_size(*file.size)
            image = file.to_pillow()
        except (OSError, ValueError, RuntimeError, EOFError, SyntaxError):
            raise ImageError("damaged HEIC") from None
        return on_white(image) if image.mode == "RGBA" else np.array(image.convert("RGB"))
