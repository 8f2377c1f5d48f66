"""What Pillow makes of a picture's bytes: opened, its size checked on the header, upright, as RGB."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from imaginate.data.pixels import Pixels, on_white
from imaginate.errors import ImageError

_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP",
    b"\xff\x4f\xff\x51",
)  # fmt: skip
_MAGIC_PPM = tuple(b"P%d" % n + space for n in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t"))
MAX_PIXELS = 89_478_485  # Pillow's own limit: 0.25 GiB of RGB
MAX_TEXT = 2**20  # bytes of one text or profile in a PNG; pictures of more are whole, and read without it
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")  # none starts a program
_COMMON = {b"\xff\xd8\xff": ("JPEG",), b"\x89PNG": ("PNG",)}
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OverflowError,
    struct.error, zlib.error,
)  # what Pillow's readers raise on damaged files  # fmt: skip
_APP1 = "Raw profile type APP1"  # as ImageMagick and ExifTool name the block of a JPEG that holds EXIF
_EXIF_IN_HEX = b"Exif\0\0".hex()
_ORIENTATION = 0x0112
_KEPT_AS_THEY_ARE = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}
_TURNS: dict[int, Any] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}

# What Pillow only warns of (damaged tags, very large images), or logs, has its outcome here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def is_picture(head: bytes) -> bool:
    """By the magic numbers of the formats."""
    return head.startswith(_MAGIC) or head.startswith(_MAGIC_PPM) or head[4:12] in (b"ftypavif", b"ftypavis")


def open_picture(data: bytes) -> Image.Image:
    """The picture, its header read. Raises ImageError."""
    try:
        image = Image.open(io.BytesIO(data), formats=_formats(data[:4]))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError("too many pixels") from None
    except UnidentifiedImageError:
        raise ImageError(_unknown(data)) from None
    except DAMAGE as error:
        if (less := _readable_part(data, error)) is not None:
            return open_picture(less)
        raise ImageError(damage(error)) from None
    check_size(image.width, image.height)
    return image


def xmp_in(data: bytes) -> bytes:
    """The XMP packet of a picture, UTF-8; b"" where it has none, or none that can be read."""
    try:
        with Image.open(io.BytesIO(data), formats=_formats(data[:4])) as opened:
            found = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
    except (UnidentifiedImageError, Image.DecompressionBombError, *DAMAGE):
        return b""
    packet = found.encode() if isinstance(found, str) else found if isinstance(found, bytes) else b""
    try:
        return packet.decode().encode()
    except UnicodeDecodeError:
        return b""


def _unknown(data: bytes) -> str:
    """Why Pillow knows no picture in the bytes: a sound JPEG of 12 bits is none that it reads."""
    at = next((data.find(mark) for mark in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2") if mark in data), -1)
    if data.startswith(b"\xff\xd8\xff") and at >= 0 and data[at + 4 : at + 5] == b"\x0c":
        return "JPEG of 12 bits: save it as PNG first"
    return "damaged" if is_picture(data[:32]) else "not an image"


def check_size(width: int, height: int) -> None:
    """ImageError for more pixels than are decoded."""
    if width * height > MAX_PIXELS:
        raise ImageError("too many pixels")


def load_picture(data: bytes, frame: int = 0) -> Image.Image:
    """The picture, or another frame of the file, decoded. Raises ImageError."""
    image = open_picture(data)
    try:
        if frame:
            image.seek(frame)
        image.load()
    except MemoryError:
        raise ImageError("too many pixels") from None
    except DAMAGE as error:
        if (less := _readable_part(data, error)) is not None:
            return load_picture(less, frame)
        raise ImageError(damage(error)) from None
    return image


def rgb(image: Image.Image) -> Pixels:
    """A loaded picture of 8 bits of any mode -> (h, w, 3) uint8, upright, writable."""
    try:
        image = upright(image)
        if image.mode == "RGB" and "transparency" not in image.info:
            return np.array(image)
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            return on_white(image)
        return np.array(image.convert("RGB"))
    except MemoryError:
        raise ImageError("too many pixels") from None
    except DAMAGE as error:
        raise ImageError(damage(error)) from None


def orientation(image: Image.Image) -> int:
    """How a loaded picture is to be turned (1: not), as its EXIF says, wherever that is: in its own block, in XMP, or
    in a text of a PNG. A damaged tag turns nothing."""
    profile = image.info.get(_APP1, "")
    if isinstance(profile, str) and _EXIF_IN_HEX in profile[:80]:  # Pillow reads the same text under another name
        image.info.setdefault("Raw profile type exif", profile)
    try:
        found = image.getexif().get(_ORIENTATION, 1)
        return found if found in _TURNS else 1
    except DAMAGE:
        return 1


def upright(image: Image.Image) -> Image.Image:
    """Turned as its orientation says."""
    try:
        return ImageOps.exif_transpose(image) if orientation(image) != 1 else image
    except DAMAGE:
        return image


def turned(values: NDArray[Any], how: int) -> NDArray[Any]:
    """(h, w) or (h, w, c), turned as an orientation of EXIF says."""
    return np.ascontiguousarray(_TURNS[how](values)) if how in _TURNS else values


def plain_format(data: bytes) -> str | None:
    """The format (png, jpeg, webp) of a file that every image reader shows alike; None for one that is turned by a tag,
    animated, of an unusual mode or of more than 8 bits, or that some readers refuse."""
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_KEPT_AS_THEY_ARE)) as image:
            name = _KEPT_AS_THEY_ARE[image.format or ""]
            # A PNG has to be decoded to see what follows its pixels.
            is_turned = (name != "png" or _has_notes(data)) and orientation(image) != 1
            if name == "png" and without_long_texts(data) is not data:
                return None
            unusual = image.mode not in ("L", "RGB") or "transparency" in image.info or depth_of_png(data) > 8
            return None if unusual or is_turned or _is_animated(image) else name
    except (*DAMAGE, MemoryError, Image.DecompressionBombError):
        return None


def depth_of_png(data: bytes) -> int:
    """Bits a channel of a PNG; 0 of another file."""
    return data[24] if data.startswith(b"\x89PNG") and len(data) > 24 else 0


def _has_notes(data: bytes) -> bool:
    """Whether a PNG has blocks that may say an orientation."""
    return any(word in data for word in (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp"))


def _is_animated(image: Image.Image) -> bool:
    """Whether a picture has a second frame."""
    try:
        image.seek(1)
    except EOFError:
        return False
    image.seek(0)
    return True


def _formats(head: bytes) -> tuple[str, ...]:
    """The formats to try: one where the first bytes say it, so that Pillow need not load all its readers."""
    return next((names for magic, names in _COMMON.items() if head.startswith(magic)), None) or _readable()


@cache
def _readable() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def damage(error: Exception) -> str:
    """The reason for what a reader raised."""
    return "truncated" if "truncated" in str(error).lower() else "damaged"


def _readable_part(data: bytes, error: Exception) -> bytes | None:
    """A PNG without what Pillow refused, where that was the length of a text; None for any other damage."""
    if not isinstance(error, ValueError) or "MAX_TEXT" not in str(error):
        return None
    less = without_long_texts(data)
    return less if less is not data else None


def without_long_texts(data: bytes) -> bytes:
    """A PNG without the texts and profiles that Pillow refuses to unpack (above 1 MiB each, 64 MiB in all)."""
    kept, at, total = [data[:8]], 8, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at : at + 12 + size]
        length = _text_length(chunk[4:8], chunk[8:-4])
        total += length
        if length == 0 or (length <= MAX_TEXT and total <= 64 * MAX_TEXT):
            kept.append(chunk)
        at += 12 + size
    less = b"".join(kept)
    return less if len(less) < len(data) else data


def _text_length(kind: bytes, body: bytes) -> int:
    """The unpacked length of a text or profile, as far as it matters; 0 of another block."""
    if kind not in (b"zTXt", b"iTXt", b"iCCP", b"tEXt"):
        return 0
    _, _, rest = body.partition(b"\0")
    packed = rest[1:]
    if kind == b"iTXt":
        is_packed, texts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
        packed = texts[-1] if is_packed else b""
    if kind == b"tEXt" or not packed:
        return len(body)
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_TEXT + 1))
    except zlib.error:
        return 0
