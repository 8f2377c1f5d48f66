"""CIFAR-C's corruptions of 32-pixel images (Hendrycks & Dietterich 2019): those of ImageNet-C, weaker.

The constants are those of the authors' `make_cifar_c.py` (github.com/hendrycks/robustness, ImageNet-C/create_c), from
which CIFAR100-C was made; the operators are written anew. Disk, fractal, zoom and pictures of frost are those of the
`imagecorruptions` library. All draw from numpy's own generator, which the caller seeds.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

SIZE = 32  # pixels a side that the constants are for

# By severity, 1 to 5.
CONSTANTS: dict[str, tuple[Any, ...]] = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # deviation
    "shot_noise": (500, 250, 100, 75, 50),  # photons of a white pixel
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # share of the entries
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),  # radius, softness
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),  # deviation, reach, rounds
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),  # radius, deviation
    "zoom_blur": (1.06, 1.11, 1.16, 1.21, 1.26),  # from 1 by 0.01 to below
    "snow": (  # mean, deviation, zoom, threshold, radius and deviation of its motion, weight of the picture
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),  # weights of picture and frost
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),  # density, decay
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "elastic_transform": ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg_compression": (80, 65, 58, 50, 40),
}  # of elastic_transform: push, its deviation, jitter of three points, all as shares of the side


def corrupt_small(image: np.ndarray, kind: str, severity: int) -> np.ndarray:
    """(32, 32, 3) uint8 -> the same, corrupted."""
    made = OPERATORS[kind](image / 255.0, CONSTANTS[kind][severity - 1])
    return np.asarray(np.clip(made, 0, 1) * 255).astype(np.uint8)


def _gaussian_noise(x: np.ndarray, deviation: float) -> np.ndarray:
    return x + np.random.normal(size=x.shape, scale=deviation)


def _shot_noise(x: np.ndarray, photons: float) -> np.ndarray:
    return np.asarray(np.random.poisson(x * photons) / photons)


def _impulse_noise(x: np.ndarray, share: float) -> np.ndarray:
    hit, white = np.random.uniform(size=(2, *x.shape))
    return np.where(hit < share, (white < 0.5).astype(float), x)


def _defocus_blur(x: np.ndarray, how: tuple[float, float]) -> np.ndarray:
    from imagecorruptions.corruptions import disk
    from scipy.ndimage import correlate

    kernel = disk(radius=how[0], alias_blur=how[1])
    return np.asarray(correlate(x, kernel[..., None], mode="mirror"))


def _glass_blur(x: np.ndarray, how: tuple[float, int, int]) -> np.ndarray:
    """Blurred, each pixel in the place of a neighbour's, blurred again."""
    deviation, reach, rounds = how
    pixels = (_soft(x, deviation) * 255).astype(np.uint8)
    for _ in range(rounds):
        for row in range(len(x) - reach, reach, -1):
            for column in range(len(x) - reach, reach, -1):
                right, down = np.random.randint(-reach, reach, size=2)
                pixels[row, column] = pixels[row + down, column + right]
    return _soft(pixels / 255.0, deviation)


def _soft(x: np.ndarray, deviation: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(x, (deviation, deviation, 0), mode="nearest"))


def _motion_blur(x: np.ndarray, how: tuple[int, float]) -> np.ndarray:
    return _trail(x, *how, angle=np.random.uniform(-45, 45))


def _trail(x: np.ndarray, radius: int, deviation: float, *, angle: float) -> np.ndarray:
    """The mean of the picture and its moves along an angle in degrees, nearer ones weighing more."""
    steps = np.arange(2 * radius + 1)
    weight = np.exp(-(steps**2) / (2 * deviation**2))
    out = np.zeros_like(x)
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    for step, share in zip(steps, weight / weight.sum(), strict=True):
        down = -np.ceil(step * np.sin(np.deg2rad(angle)) - 0.5)
        right = -np.ceil(step * np.cos(np.deg2rad(angle)) - 0.5)
        if max(abs(down), abs(right)) >= len(x):
            break
        place = np.ix_(
            *(np.clip(at - move, 0, len(x) - 1).astype(int) for at, move in ((rows, down), (columns, right)))
        )
        out += share * x[place]
    return out


def _zoom_blur(x: np.ndarray, end: float) -> np.ndarray:
    factors = np.arange(1, end, 0.01)
    return np.asarray((x + sum(_enlarged(x, factor) for factor in factors)) / (len(factors) + 1))


def _enlarged(x: np.ndarray, factor: float) -> np.ndarray:
    """The middle of a picture at its own size again."""
    from imagecorruptions.corruptions import clipped_zoom

    large = clipped_zoom(x, factor)
    top, left = (large.shape[0] - x.shape[0]) // 2, (large.shape[1] - x.shape[1]) // 2
    return np.asarray(large[top : top + x.shape[0], left : left + x.shape[1]])


def _snow(x: np.ndarray, how: tuple[float, ...]) -> np.ndarray:
    mean, deviation, zoom, threshold, radius, spread, own = how
    flakes = _enlarged(np.random.normal(mean, deviation, x.shape[:2])[..., None], zoom)
    flakes[flakes < threshold] = 0
    flakes = np.floor(np.clip(flakes, 0, 1) * 255)
    flakes = np.round(_trail(flakes, int(radius), spread, angle=np.random.uniform(-135, -45))) / 255
    grey = (x @ np.array([0.299, 0.587, 0.114]))[..., None]
    return np.asarray(own * x + (1 - own) * np.maximum(x, grey * 1.5 + 0.5) + flakes + np.rot90(flakes, k=2))


def _frost(x: np.ndarray, how: tuple[float, float]) -> np.ndarray:
    frost = _frost_picture(np.random.randint(5))
    top, left = (np.random.randint(0, size - len(x)) for size in frost.shape[:2])
    return how[0] * x + how[1] * frost[top : top + len(x), left : left + len(x)]


@cache
def _frost_picture(index: int) -> np.ndarray:
    """(h, w, 3) in [0, 1] at a fifth of its size, each fifth pixel."""
    from PIL import Image

    name = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")[index]
    with as_file(files("imagecorruptions") / "frost" / name) as path, Image.open(path) as image:
        return np.asarray(np.asarray(image.convert("RGB"))[2::5, 2::5] / 255.0)


def _fog(x: np.ndarray, how: tuple[float, float]) -> np.ndarray:
    from imagecorruptions.corruptions import plasma_fractal

    brightest = x.max()
    mist = plasma_fractal(mapsize=len(x), wibbledecay=how[1])[..., None]
    return np.asarray((x + how[0] * mist) * brightest / (brightest + how[0]))


def _brightness(x: np.ndarray, more: float) -> np.ndarray:
    """A greater value in HSV; hue and saturation stay."""
    value = x.max(-1, keepdims=True)
    brighter = np.clip(value + more, 0, 1)
    return np.asarray(np.where(value > 0, x * brighter / np.where(value > 0, value, 1), brighter))


def _contrast(x: np.ndarray, share: float) -> np.ndarray:
    mean = x.mean((0, 1))
    return np.asarray((x - mean) * share + mean)


def _elastic_transform(x: np.ndarray, how: tuple[float, float, float]) -> np.ndarray:
    """An affine map that moves three points at random, then a smooth random push of every pixel."""
    from scipy.ndimage import affine_transform, gaussian_filter, map_coordinates

    size = len(x)
    push, deviation, jitter = (size * value for value in how)
    middle, arm = size // 2, size // 3
    before = np.array([[middle + arm] * 2, [middle + arm, middle - arm], [middle - arm] * 2], float)
    after = before + np.random.uniform(-jitter, jitter, before.shape)
    back = np.linalg.solve(np.hstack([after, np.ones((3, 1))]), before)  # (x, y, 1) after -> (x, y) before
    matrix, offset = back[:2].T[::-1, ::-1], back[2][::-1]
    moved = [affine_transform(x[..., c], matrix, offset, order=1, mode="mirror") for c in range(3)]
    across, down = (
        gaussian_filter(np.random.uniform(-1, 1, x.shape[:2]), deviation, mode="reflect", truncate=3) * push
        for _ in range(2)
    )
    rows, columns = np.mgrid[:size, :size]
    place = [rows + down, columns + across]
    return np.stack([map_coordinates(one, place, order=1, mode="reflect") for one in moved], -1)


def _pixelate(x: np.ndarray, share: float) -> np.ndarray:
    from PIL import Image

    small = Image.fromarray(np.round(x * 255).astype(np.uint8)).resize((int(len(x) * share),) * 2, Image.Resampling.BOX)
    return np.asarray(small.resize((len(x),) * 2, Image.Resampling.BOX)) / 255.0


def _jpeg_compression(x: np.ndarray, quality: int) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.round(x * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)) / 255.0


OPERATORS: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "snow": _snow,
    "frost": _frost,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "elastic_transform": _elastic_transform,
    "pixelate": _pixelate,
    "jpeg_compression": _jpeg_compression,
}
