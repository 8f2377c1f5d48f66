"""RGB pixels, and pixels -> PNG."""

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


def on_white(image: Image.Image) -> Pixels:
    """A Pillow image with transparency -> (h, w, 3) uint8, composited on white, writable."""
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, rgba).convert("RGB"))


def on_white_array(rgba: Pixels) -> Pixels:
    """(h, w, 4) -> (h, w, 3) uint8, composited on white, writable."""
    return on_white(Image.fromarray(np.ascontiguousarray(rgba)))


def grey(plane: Pixels) -> Pixels:
    """(h, w) -> (h, w, 3), writable."""
    return np.repeat(plane[:, :, None], 3, axis=2)
