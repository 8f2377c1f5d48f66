"""TIFF: whole numbers of any size, floating point, many bands, several pages.

What Pillow reads is read by Pillow; floating-point colours, more than four bands and rare compressions by tifffile,
where it is installed. White-is-zero is turned round, alpha is composited on white, of several pages the first is used
unless `--page` or `--channels` says otherwise.
"""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from imaginate.data import picture_files as files
from imaginate.data.developing import develop
from imaginate.data.pixels import Pixels
from imaginate.data.rendering import Numbers, Rendering, render
from imaginate.data.tiff_tags import Page, is_camera_raw, is_tiff, pages
from imaginate.errors import ImageError

MAX_BANDS = 4  # more are no colours
NO_TIFFFILE = "needs tifffile: pip install tifffile"
_BY_PILLOW = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000})


class TiffPicture:
    """Decodes TIFF and BigTIFF; what nobody reads is named by what it is."""

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")
    priority: ClassVar[int] = 80

    def recognises(self, head: bytes) -> bool:
        """By the magic numbers of TIFF and BigTIFF."""
        return is_tiff(head)

    def decode(self, data: bytes) -> Pixels:
        """Encoded image -> (h, w, 3) uint8 RGB, writable. Raises ImageError."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            numbers = self.numbers(data, None, None)
            return files.rgb(files.load_picture(data)) if numbers is None else render(numbers, Rendering())

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Numbers | None:
        """The numbers of a page, or of several that are channels; None for an ordinary picture."""
        if is_camera_raw(data):
            return Numbers(develop(data), "uint8", (0.0, 255.0))
        every = pages(data)
        if channels and max(channels) > every[0].bands:
            return _stack(data, every, channels)
        number = (page or 1) - 1
        if number >= len(every):
            raise ImageError(f"has no page {page}")
        chosen = every[number]
        files.check_size(chosen.width, chosen.height)
        if chosen.is_ordinary and channels is None and len(every) == 1 and chosen.compression in _BY_PILLOW:
            return None
        return _numbers(data, every, number, channels)


def _numbers(data: bytes, every: list[Page], number: int, channels: tuple[int, ...] | None) -> Numbers:
    page = every[number]
    if page.is_ordinary and channels is None and page.compression in _BY_PILLOW:
        picture = files.load_picture(data, number)  # of palettes, 1 to 8 bits, either white: Pillow knows
        values = files.rgb(picture)
        return Numbers(
            values[..., 0] if page.bands == 1 and picture.mode != "P" else values,
            "uint8",
            (0.0, 255.0),
            pages=len(every),
        )
    odd = page.kind.startswith("uint") and page.bits not in (8, 16, 32, 64)
    declared = (0.0, float(2**page.bits - 1)) if odd or page.kind == "uint8" else None
    return Numbers(_values(data, page, number, channels), page.kind, declared, page.is_inverted, len(every))


def _stack(data: bytes, every: list[Page], channels: tuple[int, ...]) -> Numbers:
    """Pages of one number a pixel as the channels of one picture."""
    if max(channels) > len(every) or any(every[c - 1].bands > 1 for c in channels):
        raise ImageError(f"has no channel {max(channels)}")
    first = every[channels[0] - 1]
    files.check_size(first.width, first.height)
    planes = [_numbers(data, every, c - 1, None) for c in channels]
    if len({(plane.values.shape, plane.kind) for plane in planes}) > 1 or planes[0].values.ndim != 2:
        raise ImageError("channels of different kinds")
    values = np.stack([plane.values for plane in planes], axis=2)
    return replace(planes[0], values=values if len(planes) > 1 else values[..., 0], pages=len(every))


def _values(data: bytes, page: Page, number: int, channels: tuple[int, ...] | None) -> NDArray[Any]:
    """(h, w), or (h, w, 3 or 4) with alpha last."""
    if "complex" in page.kind:
        raise ImageError("complex numbers")
    colours = page.bands - page.has_alpha
    if channels is None and (colours > MAX_BANDS or colours == 2):
        raise ImageError(f"with {colours} bands: say which with --channels")
    by_pillow = channels is None and page.compression in _BY_PILLOW
    values = _by_pillow(data, page, number) if by_pillow else None
    if values is None:
        values = files.turned(_by_tifffile(data, number), page.orientation)
    if channels is not None:
        bands = values[..., None] if values.ndim == 2 else values
        values = bands[..., [c - 1 for c in channels]] if len(channels) > 1 else bands[..., channels[0] - 1]
    elif values.ndim == 3:
        values = _colours(values, has_alpha=page.has_alpha)
    if page.no_data is not None and (values == page.no_data).any():
        values = np.where(values == page.no_data, np.nan, values.astype(np.float64))
    return values


def _colours(values: NDArray[Any], *, has_alpha: bool) -> NDArray[Any]:
    """(h, w, bands) -> (h, w), (h, w, 3) or (h, w, 4): a fourth band without a mark is no alpha, and is left out."""
    count = values.shape[2]
    if count == 2:
        return values[..., [0, 0, 0, 1]] if has_alpha else values[..., 0]
    return values[..., 0] if count == 1 else values if count == 4 and has_alpha else values[..., :3]


def _by_pillow(data: bytes, page: Page, number: int) -> NDArray[Any] | None:
    """The numbers as Pillow unpacks them; None for what it cannot."""
    if page.bands > 1 and (page.kind != "uint16" or page.bits != 16):
        return None
    try:
        image: Any = Image.open(io.BytesIO(data), formats=("TIFF",))
        if page.bands > 1:
            return _sixteen(data, image, number)
        image.seek(number)
        image.load()
    except UnidentifiedImageError:
        return None
    except files.DAMAGE as error:
        raise ImageError(files.damage(error)) from None
    values = np.asarray(image)
    if page.kind in ("int8", "uint32"):
        return values.view(page.kind) if values.dtype.itemsize == np.dtype(page.kind).itemsize else None
    return values.astype(page.kind) if values.ndim == 2 else None


def _sixteen(data: bytes, image: Any, number: int) -> NDArray[Any] | None:
    """16-bit colours: Pillow keeps the high bytes, and the low ones when the bytes are taken the other way round."""
    image.seek(number)
    mode, raw = image.mode, [tile[3] for tile in image.tile]
    native = "L" if sys.byteorder == "little" else "B"
    words = {args[0] if isinstance(args, tuple) else args for args in raw}
    if len(words) != 1 or mode not in ("RGB", "RGBA", "RGBX") or ";16" not in (word := str(words.pop())):
        return None
    order = native if word.endswith("N") else word[-1]
    halves = []
    for side in (order, "B" if order == "L" else "L"):
        opened: Any = Image.open(io.BytesIO(data), formats=("TIFF",))
        opened.seek(number)
        opened.tile = [tile._replace(args=_with_raw(tile.args, f"{word[:-1]}{side}")) for tile in opened.tile]
        opened.load()
        halves.append(np.asarray(opened))
    values: NDArray[Any] = (halves[0].astype(np.uint16) << 8) | halves[1]
    return values


def _with_raw(args: Any, raw: str) -> Any:
    return (raw, *args[1:]) if isinstance(args, tuple) else raw


def _by_tifffile(data: bytes, number: int) -> NDArray[Any]:
    """(h, w) or (h, w, bands), as stored."""
    try:
        import tifffile
    except ImportError:
        raise ImageError(NO_TIFFFILE) from None
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[number]
            values: NDArray[Any] = np.asarray(page.asarray())
            return np.moveaxis(values, 0, -1) if values.ndim == 3 and str(page.axes).startswith("S") else values
    except ImportError:
        raise ImageError("needs imagecodecs: pip install imagecodecs") from None
    except Exception as error:  # tifffile raises whatever its parts raise
        missing = "imagecodecs" in str(error)
        raise ImageError("needs imagecodecs: pip install imagecodecs" if missing else files.damage(error)) from None
