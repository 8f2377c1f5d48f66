"""Ordinary pictures, as Pillow reads them: JPEG, PNG, WebP, GIF, BMP, PPM, JPEG 2000, AVIF.

EXIF rotation is applied; palette, grey, CMYK become RGB; alpha is composited on white; of an animation the first frame
is used. Numbers of more than 8 bits are scaled, not cut off. The pixel count is checked on the header, before anything
is decoded.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, ClassVar

import numpy as np

from imaginate.data.picture_files import (
    DAMAGE,
    damage,
    depth_of_png,
    is_picture,
    load_picture,
    open_picture,
    orientation,
    rgb,
    turned,
)
from imaginate.data.pixels import Pixels
from imaginate.data.rendering import Numbers, render
from imaginate.errors import ImageError


class PillowPicture:
    """Decodes what Pillow can read, with whatever is odd in it, as fast as Pillow for ordinary files."""

    suffixes: ClassVar[tuple[str, ...]] = (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".ppm", ".pgm",
        ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif",
    )  # fmt: skip
    priority: ClassVar[int] = 90

    def recognises(self, head: bytes) -> bool:
        """By the magic numbers of the formats."""
        return is_picture(head)

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB, writable. Raises ImageError."""
        try:
            return _decode(data)
        except UserWarning:  # the program turns warnings into errors
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _decode(data)

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Numbers | None:
        """The numbers of a picture of more than 8 bits; None for others."""
        return _numbers(data) if _may_be_deep(data) else None


def _decode(data: bytes) -> Pixels:
    if _may_be_deep(data) and (numbers := _numbers(data)) is not None:
        return render(numbers)
    return rgb(load_picture(data))


def _may_be_deep(data: bytes) -> bool:
    return (
        depth_of_png(data) == 16
        or data[:2] in (b"P2", b"P3", b"P5", b"P6")
        or data[4:8] == b"jP  "
        or data[:2] == b"\xff\x4f"
    )


def _numbers(data: bytes) -> Numbers | None:
    """The numbers of a PNG of 16 bits, or of what Pillow itself reads as numbers (PGM, JPEG 2000)."""
    if depth_of_png(data) == 16:
        return _png(data)
    image = load_picture(data)
    if not image.mode.startswith(("I", "F")):
        return None
    kind = "float32" if image.mode == "F" else "uint16"
    values = np.asarray(image)
    values = values.astype(np.uint16) if kind == "uint16" else values
    # Pillow stretches what has a depth of its own (12 bits of a JPEG 2000, 4095 of a PGM) to 16 bits.
    return Numbers(turned(values, orientation(image)), kind, (0.0, 65535.0) if _says_depth(data) else None)


def _says_depth(data: bytes) -> bool:
    """Whether the file says another depth than the 16 bits that hold it."""
    if data[:1] == b"P":
        numbers = re.findall(rb"\d+", re.sub(rb"#[^\n]*", b"", data[:512])[2:])
        return len(numbers) > 2 and int(numbers[2]) != 65535
    at = data.find(b"\xff\x4f\xff\x51")
    return at >= 0 and len(data) > at + 42 and data[at + 42] & 0x7F != 15


def _png(data: bytes) -> Numbers:
    """Pillow keeps the high bytes of 16-bit colours; the low ones come out when the bytes are taken the other way."""
    image: Any = open_picture(data)
    mode = str(image.tile[0][3]).split(";")[0]  # L (or I), LA, RGB, RGBA
    how = 1
    if mode in ("RGB", "RGBA"):
        high, low = (_planes(data, mode, f"{mode};16{order}") for order in "BL")
        values = (high[0].astype(np.uint16) << 8) | low[0]
        how = high[1]
    elif mode == "LA":
        four, how = _planes(data, "RGBA", "RGBA")
        pairs = (four[..., ::2].astype(np.uint16) << 8) | four[..., 1::2]
        values = pairs[..., [0, 0, 0, 1]]
    else:
        loaded = load_picture(data)
        values, how = np.asarray(loaded).astype(np.uint16), orientation(loaded)
    return Numbers(turned(values, how), "uint16")


def _planes(data: bytes, mode: str, raw: str) -> tuple[np.ndarray, int]:
    """The bytes of a PNG as Pillow unpacks them in a raw mode, and the orientation."""
    image: Any = open_picture(data)
    image._mode = mode
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    try:
        image.load()
    except (*DAMAGE, MemoryError) as error:
        raise ImageError(damage(error) if isinstance(error, Exception) else "damaged") from None
    return np.asarray(image), orientation(image)
