"""A checkpoint's own image preprocessing as differentiable tensor operations.

transformers' and timm's processors work on arrays or PIL images and cut the gradient. The same steps (resize with
antialiasing, centre crop, normalise) in floating point differ from them only by their rounding to 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ModelError

_PIL_MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """(b, 3, h, w) in [0, 1], any size -> the model's input.

    `size`: an int makes the short side that long and keeps the aspect, a pair is (height, width), None leaves the size.
    `crop`: centre crop (height, width), padded with black where the image is smaller; None for none.
    """

    size: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        x = images if images.is_floating_point() else images.float() / 255
        x = _resize(x, self.size, self.mode)
        x = x if self.crop is None else _centre_crop(x, *self.crop)
        mean = x.new_tensor(self.mean).view(1, -1, 1, 1)
        std = x.new_tensor(self.std).view(1, -1, 1, 1)
        return (x - mean) / std


def from_transformers(config: Mapping[str, Any], *, where: str) -> Preprocess:
    """The steps of a transformers image processor (`processor.to_dict()` or preprocessor_config.json)."""
    crop = _pair(config.get("crop_size")) if config.get("do_center_crop") else None
    normal = bool(config.get("do_normalize", True))
    return Preprocess(
        size=_size(config.get("size")) if config.get("do_resize", True) else None,
        crop=crop,
        mode=_mode(config.get("resample", 3), where),
        mean=_triple(config.get("image_mean", 0.5)) if normal else (0.0,) * 3,
        std=_triple(config.get("image_std", 0.5)) if normal else (1.0,) * 3,
    )


def from_timm(config: Mapping[str, Any]) -> Preprocess:
    """The evaluation steps of a timm model (`resolve_model_data_config`): resize to size / crop_pct, centre crop."""
    height, width = int(config["input_size"][1]), int(config["input_size"][2])
    share = float(config.get("crop_pct") or 1.0)
    square = height == width and config.get("crop_mode", "center") != "squash"
    size: int | tuple[int, int] = int(height / share) if square else (int(height / share), int(width / share))
    mode = str(config.get("interpolation", "bicubic"))
    return Preprocess(
        size=size,
        crop=(height, width),
        mode=mode if mode in _PIL_MODES.values() else "bicubic",
        mean=_triple(config["mean"]),
        std=_triple(config["std"]),
    )


def plain(side: int, mean: tuple[float, ...] = (0.5,) * 3, std: tuple[float, ...] = (0.5,) * 3) -> Preprocess:
    """Short side to `side`, square centre crop: for networks that bring no configuration."""
    return Preprocess(size=side, crop=(side, side), mode="bicubic", mean=mean, std=std)


def _resize(x: Tensor, size: int | tuple[int, int] | None, mode: str) -> Tensor:
    height, width = x.shape[-2:]
    if size is None:
        return x
    if isinstance(size, int):
        long = int(size * max(height, width) / min(height, width))
        size = (long, size) if height > width else (size, long)
    if size == (height, width):
        return x
    if mode == "nearest-exact":
        return F.interpolate(x, size=size, mode=mode)
    x = F.interpolate(x, size=size, mode=mode, antialias=True, align_corners=False)
    # Bicubic overshoots; an 8-bit image cannot.
    return x.clamp(0, 1) if mode == "bicubic" else x


def _centre_crop(x: Tensor, height: int, width: int) -> Tensor:
    h, w = x.shape[-2:]
    extra_h, extra_w = max(height - h, 0), max(width - w, 0)
    if extra_h or extra_w:
        x = F.pad(x, (extra_w // 2, (extra_w + 1) // 2, extra_h // 2, (extra_h + 1) // 2))
        h, w = x.shape[-2:]
    top, left = (h - height) // 2, (w - width) // 2
    return x[..., top : top + height, left : left + width]


def _mode(resample: Any, where: str) -> str:
    code = int(resample) if resample is not None else 3
    # Lanczos (1) has no antialiased tensor form in torch; bicubic is what transformers itself falls back to.
    code = 3 if code == 1 else code
    if code not in _PIL_MODES:
        raise ModelError(f"{where}: resampling must be nearest, bilinear, bicubic or lanczos, got filter {resample}")
    return _PIL_MODES[code]


def _size(size: Any) -> int | tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, Mapping) and size.get("shortest_edge"):
        return int(size["shortest_edge"])
    return _pair(size) if isinstance(size, Mapping) else int(size)


def _pair(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, Mapping):
        height = size.get("height") or size.get("shortest_edge")
        width = size.get("width") or size.get("shortest_edge")
        return (int(height), int(width)) if height and width else None
    return (int(size), int(size))


def _triple(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in value) if isinstance(value, (list, tuple)) else (float(value),) * 3
