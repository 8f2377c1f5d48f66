"""What img2dataset says of a picture that it resized, and the picture as it was taken: upright, without a border.

By default it puts white bars around a picture to make a square, and it neither turns a photograph nor keeps the tag
that would. A copy of a test image behind bars looks like another picture to every hash and every embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imaginate.data.decoding import decode
from imaginate.data.picture_files import turned
from imaginate.data.pixels import Pixels, encode_png
from imaginate.limits import parse_json

SIZES = ("width", "height", "original_width", "original_height")
NAMES = (*SIZES, "exif")
_WHITE = 250  # JPEG leaves a little of the picture in its border
_TURNS = {
    "mirrored horizontal": 2, "rotated 180": 3, "mirrored vertical": 4, "mirrored horizontal then rotated 90 ccw": 5,
    "rotated 90 cw": 6, "mirrored horizontal then rotated 90 cw": 7, "rotated 90 ccw": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resized:
    """The size before resizing, and how the camera held the picture (an orientation of EXIF; 1 is upright)."""

    width: int
    height: int
    turn: int = 1


def resized_by(row: Mapping[str, Any]) -> Resized | None:
    """What a row of img2dataset says; None where it leaves nothing to do."""
    sizes = [row.get(name) for name in SIZES]
    turn = _turn(row.get("exif"))
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        return None
    width, height, original_width, original_height = (int(size or 0) for size in sizes)
    has_border = width == height and original_width != original_height
    return Resized(original_width, original_height, turn) if has_border or turn != 1 else None


def as_taken(data: bytes, resized: Resized) -> bytes:
    """The encoded picture, upright and without its white border; the same bytes where there is neither."""
    pixels = decode(data)
    inside = _without_border(pixels, resized.width / resized.height)
    if inside.shape == pixels.shape and resized.turn == 1:
        return data
    return encode_png(turned(inside, resized.turn))


def _without_border(pixels: Pixels, ratio: float) -> Pixels:
    """The middle of that ratio of width to height, where all around it is white; all of it elsewhere."""
    height, width = pixels.shape[:2]
    inner_height = min(height, round(width / ratio))
    inner_width = min(width, round(height * ratio))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    inside = pixels[top : top + inner_height, left : left + inner_width]
    around = np.ones((height, width), bool)
    around[max(0, top - 1) : top + inner_height + 1, max(0, left - 1) : left + inner_width + 1] = False
    if not around.any() or pixels[around].mean() < _WHITE or np.median(pixels[around]) < _WHITE:
        return pixels
    return _without_white_edges(inside)


def _without_white_edges(pixels: Pixels) -> Pixels:
    """Without a last line of the border on each side, which rounding leaves."""
    keep = [slice(None), slice(None)]
    for axis in (0, 1):
        ends = [pixels.take(at, axis=axis).min() >= _WHITE for at in (0, -1)]
        keep[axis] = slice(int(ends[0]), pixels.shape[axis] - int(ends[1]))
    return np.ascontiguousarray(pixels[tuple(keep)])


def _turn(exif: Any) -> int:
    """The orientation in img2dataset's text of EXIF tags."""
    try:
        found = parse_json(exif) if isinstance(exif, str) else exif
        return _TURNS.get(str(found["Image Orientation"]).lower(), 1)
    except (ValueError, KeyError, TypeError):
        return 1
