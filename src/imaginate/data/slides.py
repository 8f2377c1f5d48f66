"""Slides (TIFF in tiles, SVS, and what openslide reads): a region of the full resolution, read without the rest.

A TIFF keeps its picture in pieces (tiles, or strips of rows). Each piece that a region touches becomes a small TIFF of
its own, which Pillow reads: any compression that it knows, and no more memory than the region. Other slides, and TIFFs
whose pieces are too large for that, are read by openslide where it is installed.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
from PIL import Image

from imaginate.data import known_formats
from imaginate.data.picture_files import DAMAGE, MAX_PIXELS
from imaginate.data.pixels import Pixels
from imaginate.data.tiff_tags import Directory, directories, is_tiff
from imaginate.data.unpacked import stamp
from imaginate.errors import ImageError

NO_OPENSLIDE = "slide: pip install openslide-python openslide-bin"
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR = 256, 257, 258, 259, 262, 277, 284
_STRIP_AT, _STRIP_ROWS, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_AT, _TILE_BYTES = 322, 323, 324, 325
_KEPT = (_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, 317, 347, 530)
_JPEG_2000 = (33003, 33005, 34712)
SMALL = 4096  # pixels of a side of a page that shows the whole
_LARGEST_PIECE = 2**22  # pixels; larger pieces are no way to a region


class Slide(Protocol):
    """A picture of any size. `size`: width and height of its full resolution."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        ...

    def region(self, x: int, y: int, width: int, height: int) -> Pixels:
        """(height, width, 3) uint8. Raises ImageError."""
        ...

    def overview(self) -> Pixels | None:
        """The whole at a small size, (h, w, 3) uint8; None where the file has none."""
        ...


def open_slide(path: str) -> Slide:
    """The slide in a local file; kept open for the next region. Raises ImageError."""
    try:
        return _open_slide(path, stamp(path))
    except OSError:
        raise ImageError("unreadable") from None


@lru_cache(maxsize=4)
def _open_slide(path: str, stamp: tuple[int, int]) -> Slide:
    with open(path, "rb") as file:
        head = file.read(4)
    if is_tiff(head):
        try:
            slide = TiffSlide(path)
        except (struct.error, IndexError, ValueError, KeyError):
            raise ImageError("damaged") from None
        if slide.is_in_pieces:
            return slide
    if not known_formats.is_installed("openslide"):
        raise ImageError(NO_OPENSLIDE)
    return OtherSlide(path)


@dataclass(frozen=True, slots=True)
class _Level:
    """One resolution of a TIFF, and the size of its pieces."""

    tags: Directory
    width: int
    height: int
    across: int
    down: int

    @classmethod
    def of(cls, tags: Directory) -> _Level:
        width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
        if _TILE_AT in tags:
            return cls(tags, width, height, tags[_TILE_WIDTH][0], tags[_TILE_HEIGHT][0])
        return cls(tags, width, height, width, min(height, tags.get(_STRIP_ROWS, (height,))[0]))


class TiffSlide:
    """A TIFF whose first page is the full resolution; others of the same shape are smaller ones of it."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._order = "<" if self._data[:2] == b"II" else ">"
        self._levels = [_Level.of(tags) for tags in directories(self._data, whole=True) if _WIDTH in tags]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._levels[0].width, self._levels[0].height

    @property
    def is_in_pieces(self) -> bool:
        """Whether its pieces are small, of 8 bits and of all colours."""
        level = self._levels[0]
        has_planes = level.tags.get(_PLANAR, (1,))[0] != 1 and level.tags.get(_SAMPLES, (1,))[0] > 1
        deep = max(level.tags.get(_BITS, (1,))) > 8
        return level.across * level.down <= _LARGEST_PIECE and not has_planes and not deep

    def region(self, x: int, y: int, width: int, height: int) -> Pixels:
        """(height, width, 3) uint8. Raises ImageError."""
        return self._region(self._levels[0], x, y, width, height)

    def overview(self) -> Pixels | None:
        """The smallest page of the same shape that has at least 256 pixels on its longer side."""
        width, height = self.size
        fitting = [
            level
            for level in self._levels[1:]
            if abs(level.width * height - level.height * width) <= max(width, height) * max(4, level.height // 50)
            and 256 <= max(level.width, level.height) <= SMALL
        ]
        if not fitting:
            return None
        level = min(fitting, key=lambda one: one.width)
        return self._region(level, 0, 0, level.width, level.height)

    def _region(self, level: _Level, x: int, y: int, width: int, height: int) -> Pixels:
        if width * height > MAX_PIXELS:
            raise ImageError("too many pixels")
        found = np.full((height, width, 3), 255, np.uint8)
        for row in range(y // level.down, -(-min(y + height, level.height) // level.down)):
            for column in range(x // level.across, -(-min(x + width, level.width) // level.across)):
                piece = self._piece(level, row, column)
                top, left = row * level.down - y, column * level.across - x
                a, b = max(0, top), max(0, left)
                part = piece[a - top : height - top, b - left : width - left]
                found[a : a + part.shape[0], b : b + part.shape[1]] = part
        return found

    def _piece(self, level: _Level, row: int, column: int) -> Pixels:
        """One piece, decoded: a TIFF of its own for Pillow."""
        is_tiled = _TILE_AT in level.tags
        at, sizes = (level.tags[key] for key in ((_TILE_AT, _TILE_BYTES) if is_tiled else (_STRIP_AT, _STRIP_BYTES)))
        number = row * -(-level.width // level.across) + column
        data = self._data[at[number] : at[number] + sizes[number]]
        rows = level.down if is_tiled else min(level.down, level.height - row * level.down)
        if not data:  # some writers leave pieces of background out
            return np.full((rows, level.across, 3), 255, np.uint8)
        try:
            if level.tags.get(_COMPRESSION, (1,))[0] in _JPEG_2000:
                picture: Image.Image = Image.open(io.BytesIO(data), formats=("JPEG2000",))
                is_ycc = level.tags[_COMPRESSION][0] == 33003
                if is_ycc and picture.mode == "RGB":
                    picture = Image.frombytes("YCbCr", picture.size, picture.tobytes())
            else:
                whole = _tiff(level.tags, self._order, level.across, rows, data)
                picture = Image.open(io.BytesIO(whole), formats=("TIFF",))
            return np.asarray(picture.convert("RGB"))
        except DAMAGE:
            raise ImageError("damaged, or of a compression that is not read: " + NO_OPENSLIDE) from None


def _tiff(tags: Directory, order: str, width: int, height: int, data: bytes) -> bytes:
    """A TIFF of one strip, which holds this piece."""
    values: dict[int, tuple[str, tuple[Any, ...]]] = {
        _WIDTH: ("I", (width,)), _HEIGHT: ("I", (height,)), _STRIP_ROWS: ("I", (height,)),
        _STRIP_BYTES: ("I", (len(data),)), _STRIP_AT: ("I", (0,)),
    }  # fmt: skip
    for key in _KEPT:
        if key in tags:
            found = tags[key]
            form = "s" if isinstance(found[0], bytes) else "f" if isinstance(found[0], float) else "H"
            values[key] = (form, found)
    head, room = 8, b""
    after = head + 2 + 12 * len(values) + 4
    rows = []
    for key in sorted(values):
        form, found = values[key]
        packed = found[0] if form == "s" else struct.pack(order + form * len(found), *found)
        kind = {"I": 4, "H": 3, "s": 7, "f": 11}[form]
        count = len(packed) if form == "s" else len(found)
        if len(packed) > 4:
            field, room = struct.pack(order + "I", after + len(room)), room + packed + b"\0" * (len(packed) % 2)
        else:
            field = packed.ljust(4, b"\0")
        rows.append((key, kind, count, field))
    start = after + len(room)
    table = b"".join(
        struct.pack(order + "HHI", key, kind, count) + (struct.pack(order + "I", start) if key == _STRIP_AT else field)
        for key, kind, count, field in rows
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IH", head, len(rows)) + table + b"\0\0\0\0" + room + data


class OtherSlide:
    """A slide that openslide reads."""

    def __init__(self, path: str) -> None:
        self._path = path

    @cached_property
    def _file(self) -> Any:
        import openslide

        try:
            return openslide.OpenSlide(self._path)
        except (openslide.OpenSlideError, OSError):
            raise ImageError("a slide that openslide does not read") from None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        width, height = self._file.dimensions
        return width, height

    def region(self, x: int, y: int, width: int, height: int) -> Pixels:
        """(height, width, 3) uint8, on white."""
        from imaginate.data.pixels import on_white

        return on_white(self._file.read_region((x, y), 0, (width, height)))

    def overview(self) -> Pixels | None:
        """The smallest level, where it is small."""
        from imaginate.data.pixels import on_white

        level = self._file.level_count - 1
        size = self._file.level_dimensions[level]
        return on_white(self._file.read_region((0, 0), level, size)) if max(size) <= SMALL else None


def tiles_of(size: tuple[int, int], side: int) -> Iterator[tuple[int, int]]:
    """The left upper corners of whole tiles, row by row; what is left on the right and below is in none."""
    width, height = size
    for y in range(0, height - side + 1, side):
        for x in range(0, width - side + 1, side):
            yield x, y
