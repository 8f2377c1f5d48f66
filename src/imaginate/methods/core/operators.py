"""RandAugment's fourteen operators, pixel for pixel those of torchvision on Pillow images, at less cost for small ones.

An operator that maps each value alone is torchvision's own, applied once to all 256 values and kept as a table.
Contrast is one too, once the mean is known. Histograms, shifts and the sums of sharpness are counted on the planes as
they are. What is left (shear, rotation) goes through torchvision as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

Planes: TypeAlias = NDArray[np.uint8]  # (3, h, w), contiguous
Operator: TypeAlias = Callable[[Planes], Planes]

BINS = 31
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness")
NAMES = ("identity", *SIGNED, "posterize", "solarize", "auto_contrast", "equalize")  # torchvision's order


def operators(magnitude: int, fill: int) -> list[tuple[Operator, Operator]]:
    """Each operator at one of `BINS` magnitudes, and with its sign turned; twice the same where it has no sign."""
    m = magnitude / (BINS - 1)
    pairs = {name: (_signed(name, m, fill), _signed(name, -m, fill)) for name in SIGNED}
    bits = int(8 - round(magnitude / ((BINS - 1) / 4)))
    alone: dict[str, Operator] = {
        "identity": lambda x: x,
        "posterize": by_table(lambda p: tvf.posterize(p, bits)),
        "solarize": by_table(lambda p: tvf.solarize(p, 255.0 * (1 - m))),
        "auto_contrast": auto_contrast,
        "equalize": equalize,
    }
    return [pairs[name] if name in pairs else (alone[name], alone[name]) for name in NAMES]


def _signed(name: str, m: float, fill: int) -> Operator:
    """One signed operator; `m` in [-1, 1] is the share of its largest magnitude (Cubuk et al. 2019, table 6)."""
    shear = math.degrees(math.atan(math.copysign(float(torch.linspace(0.0, 0.3, BINS)[round(abs(m) * (BINS - 1))]), m)))
    factor = 1 + 0.9 * m
    builders: dict[str, Callable[[], Operator]] = {
        "shear_x": lambda: by_picture(lambda p: _sheared(p, [shear, 0.0], fill)),
        "shear_y": lambda: by_picture(lambda p: _sheared(p, [0.0, shear], fill)),
        "translate_x": lambda: lambda x: shifted(x, 2, int(150 / 331 * x.shape[2] * m), fill),
        "translate_y": lambda: lambda x: shifted(x, 1, int(150 / 331 * x.shape[1] * m), fill),
        "rotate": lambda: by_picture(lambda p: tvf.rotate(p, 30 * m, InterpolationMode.BILINEAR, fill=[fill] * 3)),
        "brightness": lambda: by_table(lambda p: tvf.adjust_brightness(p, factor)),
        "color": lambda: lambda x: blended(np.broadcast_to(grey(x), x.shape), x, factor),
        "contrast": lambda: contrast_by(factor),
        "sharpness": lambda: lambda x: blended(smooth(x), x, factor),
    }
    return builders[name]()


def _sheared(picture: Image.Image, shear: list[float], fill: int) -> Image.Image:
    sheared: Image.Image = tvf.affine(
        picture, 0.0, [0, 0], 1.0, shear, InterpolationMode.BILINEAR, fill=[fill] * 3, center=[0, 0]
    )
    return sheared


def by_picture(change: Callable[[Image.Image], Image.Image]) -> Operator:
    """An operator from one on Pillow images."""

    def apply(x: Planes) -> Planes:
        changed = change(picture(x))
        planes = b"".join(changed.tobytes("raw", band) for band in "RGB")
        return np.frombuffer(bytearray(planes), np.uint8).reshape(3, changed.height, changed.width)

    return apply


def picture(x: Planes) -> Image.Image:
    """(3, h, w) uint8 -> a Pillow image."""
    size = (x.shape[2], x.shape[1])
    return Image.merge("RGB", [Image.frombuffer("L", size, plane, "raw", "L", 0, 1) for plane in x])


def by_table(change: Callable[[Image.Image], Image.Image]) -> Operator:
    """An operator from one on Pillow images that maps each value alone."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    table = np.asarray(change(Image.fromarray(ramp)))[0, :, 0].tobytes()
    return lambda x: _mapped(x, table)


def _mapped(x: Planes, table: bytes) -> Planes:
    return np.frombuffer(bytearray(x).translate(table), np.uint8).reshape(x.shape)


def grey(x: Planes) -> NDArray[np.uint8]:
    """(h, w): Pillow's mode L (ITU-R 601-2, in 16 bits)."""
    red, green, blue = (plane * np.uint32(weight) for plane, weight in zip(x, (19595, 38470, 7471), strict=True))
    light: NDArray[np.uint8] = ((red + green + blue + np.uint32(0x8000)) >> 16).astype(np.uint8)
    return light


def blended(base: NDArray[np.uint8], x: Planes, factor: float) -> Planes:
    """`base + factor (x - base)`, as Pillow blends."""
    return np.array(Image.blend(_column(np.ascontiguousarray(base)), _column(x), factor)).reshape(x.shape)


def _column(x: Planes) -> Image.Image:
    """The three planes as one grey picture, one below the other."""
    return Image.frombuffer("L", (x.shape[2], 3 * x.shape[1]), x, "raw", "L", 0, 1)


def smooth(x: Planes) -> Planes:
    """Pillow's SMOOTH: the mean of 3 x 3 pixels in which the middle one counts five times; the border stays."""
    out = x.copy()
    if min(x.shape[1:]) < 3:
        return out
    rows = np.add(x[:, :, :-2], x[:, :, 2:], dtype=np.uint16)
    rows += x[:, :, 1:-1]
    sums = rows[:, :-2] + rows[:, 2:]
    sums += rows[:, 1:-1]
    sums += x[:, 1:-1, 1:-1].astype(np.uint16) << 2
    sums += 6  # to the nearest: a thirteenth is never half way
    sums //= 13
    out[:, 1:-1, 1:-1] = sums
    return out


def contrast_by(factor: float) -> Operator:
    """Each value drawn away from the mean of the grey picture."""

    @cache
    def table(mean: int) -> bytes:
        ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
        return Image.blend(Image.new("L", ramp.size, mean), ramp, factor).tobytes()

    return lambda x: _mapped(x, table(int(float(grey(x).mean()) + 0.5)))


def shifted(x: Planes, axis: int, by: int, fill: int) -> Planes:
    """Moved by whole pixels along an axis; what comes from outside is `fill`."""
    out = np.full_like(x, fill)
    size = x.shape[axis]
    to, source = slice(max(0, by), size + min(0, by)), slice(max(0, -by), size - max(0, by))
    before = (slice(None),) * axis
    out[(*before, to)] = x[(*before, source)]
    return out


def auto_contrast(x: Planes) -> Planes:
    """Each channel stretched to [0, 255]."""
    return np.stack([_mapped(plane, _stretch(int(plane.min()), int(plane.max()))) for plane in x])


@cache
def _stretch(low: int, high: int) -> bytes:
    if high <= low:
        return bytes(range(256))
    scale = 255.0 / (high - low)
    return (np.arange(256) * scale - low * scale).clip(0, 255).astype(np.uint8).tobytes()


def equalize(x: Planes) -> Planes:
    """Each channel's histogram flattened."""
    return np.stack([_mapped(plane, _flat(plane)) for plane in x])


def _flat(plane: NDArray[np.uint8]) -> bytes:
    size = (plane.shape[1], plane.shape[0])
    counts = np.array(Image.frombuffer("L", size, plane, "raw", "L", 0, 1).histogram())
    step = (plane.size - int(counts[counts.nonzero()[0][-1]])) // 255
    if step == 0:
        return bytes(range(256))
    below = counts.cumsum() - counts
    return bytes(((step // 2 + below) // step).clip(0, 255).astype(np.uint8))
