"""Ordinary pictures, as Pillow reads them: JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF.

EXIF rotation is applied; palette, grey, CMYK become RGB; alpha is composited on white; 16-bit and floating point
values are scaled, not clipped; of an animation the first frame is used. The pixel count is checked on the header,
before anything is decoded.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import cache
from typing import ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from imaginate.data.pixels import Pixels, grey, on_white, scaled
from imaginate.errors import ImageError

_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51",
)  # fmt: skip
_MAGIC_PPM = tuple(b"P%d" % n + space for n in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t"))
MAX_PIXELS = 89_478_485  # Pillow's own limit: 0.25 GiB of RGB
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # none starts a program
_COMMON = {b"\xff\xd8\xff": ("JPEG",), b"\x89PNG": ("PNG",)}
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OverflowError,
    struct.error, zlib.error,
)  # what Pillow's readers raise on damaged files  # fmt: skip
_ORIENTATION = 0x0112

# What Pillow only warns of (damaged tags, very large images) has its outcome here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class PillowPicture:
    """Decodes what Pillow can read, with whatever is odd in it, as fast as Pillow for ordinary files."""

    suffixes: ClassVar[tuple[str, ...]] = (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
        ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif",
    )  # fmt: skip
    priority: ClassVar[int] = 90

    def recognises(self, head: bytes) -> bool:
        """By the magic numbers of the formats."""
        return _is_picture(head)

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB, writable. Raises ImageError."""
        try:
            return _decode(data)
        except UserWarning:  # the program turns warnings into errors
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _decode(data)


def _is_picture(head: bytes) -> bool:
    return head.startswith(_MAGIC) or head.startswith(_MAGIC_PPM) or head[4:12] in (b"ftypavif", b"ftypavis")


def _decode(data: bytes) -> Pixels:
    image = _open(data)
    if image.width * image.height > MAX_PIXELS:
        raise ImageError("too many pixels")
    try:
        image.load()
        return _pixels(_upright(image))
    except MemoryError:
        raise ImageError("too many pixels") from None
    except _DAMAGE as error:
        raise ImageError(_damage(error)) from None


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats(data[:4]))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError("too many pixels") from None
    except UnidentifiedImageError:
        raise ImageError("damaged" if _is_picture(data[:32]) else "not an image") from None
    except _DAMAGE as error:
        raise ImageError(_damage(error)) from None


def _formats(head: bytes) -> tuple[str, ...]:
    """The formats to try: one where the first bytes say it, so that Pillow need not load all its readers."""
    return next((names for magic, names in _COMMON.items() if head.startswith(magic)), None) or _readable()


@cache
def _readable() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _damage(error: Exception) -> str:
    return "truncated" if "truncated" in str(error).lower() else "damaged"


def _upright(image: Image.Image) -> Image.Image:
    """Rotated as its EXIF tag says; a damaged tag rotates nothing."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image
    except _DAMAGE:
        return image


def _pixels(image: Image.Image) -> Pixels:
    """A loaded Pillow image of any mode -> (h, w, 3) uint8, writable."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array(image)
    if image.mode.startswith(("I", "F")):
        return grey(scaled(np.asarray(image)))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        return on_white(image)
    return np.array(image.convert("RGB"))
