"""Tensors to encoded bytes, and originals as they are where every reader would read them the same way."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imaginate.errors import ImageError
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from torch import Tensor

EXTENSIONS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
LONGEST_SIDE = {"jpeg": 65_535, "webp": 16_383}  # pixels; what the format can say
MOST_PIXELS = 89_478_485  # of a written image, as of one that is read


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How images are written."""

    format: Literal["png", "jpeg", "webp"] = setting("png", "file format; png loses nothing")
    quality: int = setting(95, "quality of jpeg and webp", ge=1, le=100)
    png_level: int = setting(
        3, "effort of png: 6 (zlib's default) takes twice the time of 3 for like sizes", ge=0, le=9
    )
    output_size: int | None = setting(None, "shorter side of every written image, in pixels; none: as made", ge=1)
    originals: Literal["copy", "link", "none"] = setting("copy", "the seed images: copied, linked, or left out")
    keep_rejected: bool = setting(True, "store rejected images too, under rejected/, to be seen and judged again")

    def __post_init__(self) -> None:
        check(self)


def to_uint8(image: Tensor) -> Tensor:
    """(3, h, w) uint8, or floating point in [0, 1], -> (3, h, w) uint8, rounded to the nearest level."""
    import torch

    if image.dtype == torch.uint8:
        return image
    return image.detach().float().cpu().clamp(0, 1).mul(255).round_().to(torch.uint8)


def encode(image: Tensor, writing: Writing, xmp: bytes = b"") -> bytes:
    """(3, h, w) uint8 or floating point in [0, 1] -> file bytes, resized to `writing.output_size` where it is set.
    `xmp`: what the file says of itself."""
    return _save(resize(picture(image), writing.output_size), writing, xmp)


def encode_mask(mask: Any, writing: Writing) -> bytes:
    """(h, w) bool -> png bytes, 0 and 255, at the size of the written image."""
    import numpy as np
    from PIL import Image

    drawn = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255)
    size = resized(drawn.size, writing.output_size)
    out = io.BytesIO()
    (drawn if size == drawn.size else drawn.resize(size, Image.Resampling.NEAREST)).save(out, "PNG")
    return out.getvalue()


def reason_not_to_write(image: Tensor, writing: Writing) -> str:
    """Why (3, h, w) cannot be written: its format holds no such side, or too many pixels. Empty where it can."""
    width, height = resized((image.shape[-1], image.shape[-2]), writing.output_size)
    longest = LONGEST_SIDE.get(writing.format)
    if longest is not None and max(width, height) > longest:
        return f"longer than the {longest:,} pixels of {writing.format}"
    return f"more than {MOST_PIXELS:,} pixels to write" if width * height > MOST_PIXELS else ""


def resized(size: tuple[int, int], short: int | None) -> tuple[int, int]:
    """(width, height) with the shorter side `short`, as it was for None."""
    if short is None or min(size) == short:
        return size
    width, height = (max(1, round(side * short / min(size))) for side in size)
    return width, height


def picture(image: Tensor) -> Any:
    """(3, h, w) uint8 or floating point in [0, 1] -> a Pillow image, put together from its planes."""
    from PIL import Image

    planes = to_uint8(image).contiguous().numpy()
    size = (planes.shape[2], planes.shape[1])
    return Image.merge("RGB", [Image.frombuffer("L", size, plane, "raw", "L", 0, 1) for plane in planes])


def resize(picture: Any, size: int | None) -> Any:
    """A PIL image with its shorter side `size` pixels (Lanczos)."""
    from PIL import Image

    wanted = resized(picture.size, size)
    return picture if wanted == picture.size else picture.resize(wanted, Image.Resampling.LANCZOS)


def original(data: bytes, image: Tensor, writing: Writing, xmp: bytes = b"") -> tuple[bytes, str]:
    """The bytes and extension under which an original is kept: unchanged where a plain reader shows it right, else with
    `xmp` in them:
    re-encoded where it is rotated by EXIF, animated, of an unusual mode or format, or has to be resized. WebP is kept
    in a run of WebP alone: timm and Keras list PNG and JPEG, and would train on the copies without their originals.
    Raises ImageError for one that is too large for that."""
    extension = None if writing.output_size else plain_extension(data)
    reason = reason_not_to_write(image, writing)
    is_other_kind = (extension == EXTENSIONS["webp"]) != (writing.format == "webp")
    if extension is not None and (not is_other_kind or (reason and writing.format == "webp")):
        return data, extension
    if reason:
        raise ImageError(reason)
    return encode(image, writing, xmp), EXTENSIONS[writing.format]


def to_png(data: bytes) -> bytes:
    """A picture as PNG, with the XMP that its file has."""
    from PIL import Image

    from imaginate.data.decoding import decode
    from imaginate.data.picture_files import xmp_in

    out = io.BytesIO()
    Image.fromarray(decode(data)).save(out, "PNG", compress_level=1, pnginfo=_text_chunk(xmp_in(data)))
    return out.getvalue()


def plain_extension(data: bytes) -> str | None:
    """The extension of a file that every image reader shows alike; None for the others."""
    from imaginate.data.picture_files import plain_format

    return EXTENSIONS.get(plain_format(data) or "")


def _save(picture: Any, writing: Writing, xmp: bytes) -> bytes:
    out = io.BytesIO()
    said = {"xmp": xmp} if xmp else {}
    if writing.format == "png":
        picture.save(out, "PNG", compress_level=writing.png_level, pnginfo=_text_chunk(xmp))
    elif writing.format == "jpeg":
        picture.save(out, "JPEG", quality=writing.quality, subsampling=0, **said)
    else:
        picture.save(out, "WEBP", quality=writing.quality, method=4, **said)
    return out.getvalue()


def _text_chunk(xmp: bytes) -> Any:
    """XMP as PNG holds it: in front of the pixels, uncompressed."""
    from PIL.PngImagePlugin import PngInfo

    if not xmp:
        return None
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return info
