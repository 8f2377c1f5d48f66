"""The tags of each page of a TIFF that say what its numbers are, read without decoding it."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from imaginate.errors import ImageError

MAX_PAGES = 100_000
MAX_PIECES = 2**24
Bytes: TypeAlias = bytes | mmap.mmap
Directory: TypeAlias = dict[int, tuple[Any, ...]]
_FORMATS = {
    1: "B",
    2: "s",
    3: "H",
    4: "I",
    5: "II",
    6: "b",
    7: "s",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    18: "Q",
}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_EXTRA, _FORMAT, _ORIENTATION, _NO_DATA, _SUBFILE = 338, 339, 274, 42113, 254
_SUB_IFDS, _DNG = 330, 50706
_WANTED = frozenset(
    {
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _SAMPLES,
        _EXTRA,
        _FORMAT,
        _ORIENTATION,
        _NO_DATA,
        _SUBFILE,
        _SUB_IFDS,
        _DNG,
    }
)
_WHITE_IS_ZERO = 0
_ALPHA = (1, 2)


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `kind`: the type of its numbers. `bands`: numbers a pixel, alpha included. `no_data`: the number that
    stands for nothing."""

    width: int
    height: int
    bits: int
    kind: str
    bands: int
    has_alpha: bool
    is_inverted: bool
    compression: int
    orientation: int
    no_data: float | None

    @property
    def is_ordinary(self) -> bool:
        """Whether it is a picture of at most 8 bits, of a usual number of colours."""
        return self.bits <= 8 and self.kind == "uint8" and self.bands <= 4


def is_tiff(head: bytes) -> bool:
    """Whether a file begins as a TIFF, or as a BigTIFF."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def pages(data: bytes) -> list[Page]:
    """All pages, in order. Raises ImageError where the file has none."""
    try:
        found = [_page(tags) for tags in directories(data)]
    except (struct.error, IndexError, ValueError):
        raise ImageError("damaged") from None
    if not found:
        raise ImageError("damaged")
    return found


def is_camera_raw(data: bytes) -> bool:
    """Whether the first page is the thumbnail of a camera raw: a DNG says so, others have their picture in a directory
    below a page that is marked as reduced."""
    try:
        tags = next(directories(data), {})
    except (struct.error, IndexError, ValueError, ImageError):
        return False
    return _DNG in tags or (_SUB_IFDS in tags and bool(tags.get(_SUBFILE, (0,))[0] & 1))


def directories(data: Bytes, *, whole: bool = False) -> Iterator[Directory]:
    """The tags of each page that say what its numbers are; or all of them. Raises ImageError, struct.error."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)[0]
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        count = struct.unpack_from(order + ("Q" if is_big else "H"), data, offset)[0]
        at, size = offset + (8 if is_big else 2), 20 if is_big else 12
        if count > 4096 or at + count * size > len(data):
            if len(seen) == 1:
                raise ImageError("truncated")
            return
        yield dict(_tags(data, order, at, count, is_big=is_big, whole=whole))
        offset = struct.unpack_from(order + ("Q" if is_big else "I"), data, at + count * size)[0]


def _tags(
    data: Bytes, order: str, at: int, count: int, *, is_big: bool, whole: bool
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    size, room = (20, 8) if is_big else (12, 4)
    for place in range(at, at + count * size, size):
        tag, kind = struct.unpack_from(order + "HH", data, place)
        number = struct.unpack_from(order + ("Q" if is_big else "I"), data, place + 4)[0]
        is_wanted = number <= MAX_PIECES if whole else tag in _WANTED and number <= 4096
        if not is_wanted or kind not in _FORMATS or (kind == 7 and not whole):
            continue
        form = f"{order}{number}s" if kind in (2, 7) else order + _FORMATS[kind] * number
        start = place + (12 if is_big else 8)
        if struct.calcsize(form) > room:
            start = struct.unpack_from(order + ("Q" if is_big else "I"), data, start)[0]
        yield tag, struct.unpack_from(form, data, start)


def _page(tags: dict[int, tuple[Any, ...]]) -> Page:
    bits = max(tags.get(_BITS, (1,)))
    bands = tags.get(_SAMPLES, (1,))[0]
    form = tags.get(_FORMAT, (1,))[0]
    name = {2: "int", 3: "float", 5: "complex", 6: "complex"}.get(form, "uint")
    width = next((size for size in (8, 16, 32, 64, 128) if bits <= size), bits)
    extra = tags.get(_EXTRA, ())
    return Page(
        width=tags[_WIDTH][0] if _WIDTH in tags else 0,
        height=tags[_HEIGHT][0] if _HEIGHT in tags else 0,
        bits=bits,
        kind=f"{name}{width}",
        bands=bands,
        has_alpha=bool(extra) and extra[0] in _ALPHA and bands in (2, 4),
        is_inverted=tags.get(_PHOTOMETRIC, (1,))[0] == _WHITE_IS_ZERO,
        compression=tags.get(_COMPRESSION, (1,))[0],
        orientation=tags.get(_ORIENTATION, (1,))[0],
        no_data=_number(tags.get(_NO_DATA, (b"",))[0]),
    )


def _number(text: bytes) -> float | None:
    try:
        return float(text.strip(b"\0 "))
    except ValueError:
        return None
