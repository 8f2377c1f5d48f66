"""Arrays of numbers -> RGB pixels, and pixels -> PNG."""

from __future__ import annotations

import io
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8]


def encode_png(pixels: NDArray[Any]) -> bytes:
    """(h, w) or (h, w, 3) uint8 -> PNG bytes, always the same ones for the same pixels."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def to_rgb(array: NDArray[Any]) -> Pixels:
    """(h, w), (h, w, 1), (h, w, 3) or (h, w, 4), any number type -> (h, w, 3) uint8, writable."""
    flat = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    bytes_ = flat if flat.dtype == np.uint8 else scaled(flat)
    if bytes_.ndim == 2:
        return grey(bytes_)
    return np.array(bytes_) if bytes_.shape[2] == 3 else on_white(Image.fromarray(np.ascontiguousarray(bytes_)))


def on_white(image: Image.Image) -> Pixels:
    """A Pillow image with transparency -> (h, w, 3) uint8, composited on white, writable."""
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, rgba).convert("RGB"))


def grey(plane: Pixels) -> Pixels:
    """(h, w) -> (h, w, 3), writable."""
    return np.repeat(plane[:, :, None], 3, axis=2)


def scaled(values: NDArray[Any]) -> Pixels:
    """Numbers of any type -> uint8 over the range of their type: 16-bit / 257; floating point from [0, 1];
    values outside those are scaled by its own minimum and maximum. NaN becomes 0."""
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min(initial=0.0)), float(numbers.max(initial=0.0))
    if low < 0:
        numbers, high = numbers - low, high - low
        top = high
    elif values.dtype == np.bool_ or (values.dtype.kind == "f" and high <= 1):
        top = 1.0
    elif values.dtype.itemsize > 2 and high <= 255:
        top = 255.0
    else:
        top = 65535.0 if high <= 65535 else high
    return np.rint(numbers * (255.0 / (top or 1.0))).astype(np.uint8)
