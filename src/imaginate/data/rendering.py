"""Numbers of any type and range -> pictures of 8 bits: which number is black, and which is white.

An image of 12 bits in a file of 16, a CT slice in Hounsfield units and a floating-point picture look right only where
this is known. It is decided once for a source (`data/photometry.py`), so that equal numbers are equally bright in all
of its images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaginate.data.pixels import Pixels, grey, on_white_array
from imaginate.errors import ImageError

Span = tuple[float, float]
ANY = "any"
_DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # white of masks, and of 8, 10, 12, 14 and 16 bits
OVER = 1.1  # how far a value may be above white: resizing with a sharp filter overshoots


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a file holds, before it is a picture. `values`: (h, w) or (h, w, 3 or 4), alpha last. `kind`: the type of
    its numbers (`uint16`, `float32`). `declared`: black and white, where the file says them. `is_inverted`: 0 is white.
    `pages`: how many images the file holds, and which of them is `shown` where none is asked for."""

    values: NDArray[Any]
    kind: str
    declared: Span | None = None
    is_inverted: bool = False
    pages: int = 1
    shown: str = "the first"


@dataclass(frozen=True, slots=True)
class Volume:
    """(slices, h, w): pictures that are right way up, one behind the other."""

    values: NDArray[Any]

    @property
    def count(self) -> int:
        """How many slices there are."""
        return int(self.values.shape[0])

    def slice(self, page: int) -> NDArray[Any]:
        """(h, w) of a slice, from 1."""
        return np.ascontiguousarray(self.values[page - 1])


@dataclass(frozen=True, slots=True)
class Window:
    """Which number of a kind is black, and which is white."""

    kind: str
    black: float
    white: float

    def __str__(self) -> str:
        return f"{self.black:g}..{self.white:g}"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How the numbers of a source become pictures. `windows`: at least one for each kind of numbers there is; several
    of a kind where a source mixes them: an image is then shown by the smallest that holds it. `channels`: the bands or
    pages (from 1) that become grey, or red, green and blue. `page`: which page (from 1) of a file of several."""

    windows: tuple[Window, ...] = ()
    channels: tuple[int, ...] | None = None
    page: int | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rendering:
        """From what `dataclasses.asdict` gave, or JSON of it. KeyError or TypeError for anything else."""
        channels = values["channels"]
        windows = tuple(Window(**window) for window in values["windows"])
        return cls(windows, None if channels is None else tuple(channels), values["page"])

    def of_kind(self, kind: str) -> list[Window]:
        """The windows for a kind of numbers, the smallest first."""
        found = [window for window in self.windows if window.kind in (kind, ANY)]
        return sorted(found, key=lambda window: window.white - window.black)

    @property
    def of_eight_bits(self) -> Window | None:
        """The window for ordinary pictures, where it is another than 0..255; for those that hold nothing above it."""
        found = [window for window in self.of_kind("uint8") if window.white < 255]
        return found[0] if found else None


PLAIN = Rendering()


def render(numbers: Numbers, rendering: Rendering = PLAIN) -> Pixels:
    """(h, w, 3) uint8, writable. Without a window of this kind, the image's own numbers say its range."""
    window = window_of(numbers, rendering)
    shown = _levels(numbers.values, window, inverted=numbers.is_inverted)
    if shown.ndim == 2:
        return grey(shown)
    return shown if shown.shape[2] == 3 else on_white_array(shown)


def window_of(numbers: Numbers, rendering: Rendering) -> Window:
    """Black and white of one image."""
    options = rendering.of_kind(numbers.kind)
    if numbers.declared is not None and all(option.kind != ANY for option in options):
        return Window(numbers.kind, *numbers.declared)
    if len(options) == 1:
        return options[0]
    span = span_of(numbers.values)
    fitting = [w for w in options if span[1] <= w.black + (w.white - w.black) * OVER]
    if options:
        return fitting[0] if fitting else options[-1]
    return windows_for(numbers.kind, [span])[0]


def span_of(values: NDArray[Any]) -> Span:
    """The smallest and the largest finite number; alpha does not count."""
    colours = values[..., :3] if values.ndim == 3 and values.shape[2] == 4 else values
    if colours.dtype.kind == "f":
        colours = colours[np.isfinite(colours)]
        colours = colours[np.abs(colours) < 1e30] if colours.dtype.itemsize > 2 else colours
    return (float(colours.min()), float(colours.max())) if colours.size else (0.0, 0.0)


def windows_for(kind: str, spans: Sequence[Span]) -> tuple[Window, ...]:
    """The windows of a kind of numbers, from the ranges of some images. Floating-point images of 0..1 and of 0..255 may
    be mixed; all else has one window."""
    if kind.startswith("float"):
        sides = {_float_window(span) for span in spans}
        if sides <= {(0.0, 1.0), (0.0, 255.0)}:
            return tuple(Window(kind, *side) for side in sorted(sides))
        whole = (min(span[0] for span in spans), max(span[1] for span in spans))
        return (Window(kind, *_float_window(whole)),)
    whole = (min(span[0] for span in spans), max(span[1] for span in spans))
    return (Window(kind, *_whole_window(kind, whole)),)


def _float_window(span: Span) -> Span:
    """0..1 and 0..255 with some overshoot, -1..1, the depths of cameras; else from 0, or the range as it is where
    numbers are negative, or far from 0 (Kelvin)."""
    low, high = span
    if low >= -0.1 and high <= OVER:
        return 0.0, 1.0
    if low < 0 and low >= -OVER and high <= OVER:
        return -1.0, 1.0
    if low >= -25.5 and low <= high / 2 and 32 <= high <= 255 * OVER:
        return 0.0, 255.0
    if low < 0 or low > high / 2:
        return span
    return 0.0, next((float(depth) for depth in _DEPTHS[2:] if 0.75 * depth <= high <= depth * OVER), high)


def _whole_window(kind: str, span: Span) -> Span:
    """From 0 to the white of the next depth; where numbers are negative, or far from 0 (Kelvin), their own range."""
    low, high = span
    if kind == "bool":
        return 0.0, 1.0
    if kind == "uint8":
        return 0.0, 1.0 if high <= 1 else 255.0
    if kind == "int8":
        return (0.0, 1.0 if 0 < high <= 1 else 127.0) if low >= 0 else (-128.0, 127.0)
    if low < 0 or (low > high / 2 and high > 255):
        return low, high
    depths = [depth for depth in _DEPTHS if high <= (depth if depth == 1 else depth * OVER)]
    largest = 32767.0 if kind == "int16" else math.inf
    return 0.0, min(float(depths[0]) if depths else high, largest)


def _levels(values: NDArray[Any], window: Window, *, inverted: bool) -> Pixels:
    """Numbers -> 0..255; outside the window they are black or white, what is not finite is black. Alpha is of the
    type's own range. ImageError where no number is finite."""
    if values.dtype == np.uint16:  # a table of all numbers is as exact, and much faster
        table = _levels(np.arange(65536, dtype=np.float64), window, inverted=inverted)
        shown: Pixels = table[values]
        if values.ndim == 3 and values.shape[2] == 4:
            shown[..., 3] = values[..., 3] >> 8
        return shown
    finite = np.isfinite(values)
    if not (finite[..., :3] if values.ndim == 3 else finite).any():
        raise ImageError("no pixel has a finite number")
    width = (window.white - window.black) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        shares = np.clip((values.astype(np.float64) - window.black) / width, 0.0, 1.0)
    if inverted:
        shares = 1.0 - shares
    return np.rint(np.where(finite, shares, 0.0) * 255.0).astype(np.uint8)
