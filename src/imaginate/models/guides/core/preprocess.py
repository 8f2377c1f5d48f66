"""A checkpoint's own image preprocessing as differentiable tensor operations.

The processors of transformers, timm and torchvision work on 8-bit pictures and cut the gradient. The same steps (resize
with antialiasing, crop, normalise) in floating point differ from them only by their rounding. A processor of
transformers is believed only after it was compared: what does not come out as it says is refused by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ModelError

_PIL_MODES = {0: "nearest-exact", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
ALIKE_LEVELS, ALIKE_COSINE = 0.75, 0.9995  # how far from the library's own pixels is its rounding to 8 bits
LARGE = 512  # pixels: pictures to compare with need not be larger
_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")

Pair = tuple[int, int]
Fit = Literal["exact", "cover", "contain"]

LONGEST = 32  # times the short side


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """(b, 3, h, w) in [0, 1], any size -> the model's input.

    `size`: an int makes the short side that long and keeps the aspect, a pair is (height, width), None leaves the size;
    `fit`: what a pair means: that very size, or the smallest (cover) or largest (contain) of the image's own aspect.
    `crop`: centre crop (height, width), padded where the image is smaller (with black; contained ones with the mean).
    `rounds`: whether the crop's corner is rounded (torchvision, timm) or cut (transformers). `flips`: BGR is wanted.
    """

    size: int | Pair | None
    crop: Pair | None
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Fit = "exact"
    rounds: bool = False
    flips: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        x = images if images.is_floating_point() else images.float() / 255
        x = _middle(x) if self.crop is not None and isinstance(self.size, int) else x
        x = _resize(x, self._target(*x.shape[-2:]), self.mode)
        x = x if self.crop is None else self._cropped(x, *self.crop)
        x = x.flip(1) if self.flips else x
        mean = x.new_tensor(self.mean).view(1, -1, 1, 1)
        std = x.new_tensor(self.std).view(1, -1, 1, 1)
        return (x - mean) / std

    def _target(self, height: int, width: int) -> Pair:
        """The size that an image of this size is brought to."""
        if self.size is None:
            return height, width
        if isinstance(self.size, int):
            long = int(self.size * max(height, width) / min(height, width))
            return (long, self.size) if height > width else (self.size, long)
        if self.fit == "exact":
            return self.size
        ratios = height / self.size[0], width / self.size[1]
        ratio = min(ratios) if self.fit == "cover" else max(ratios)
        return round(height / ratio), round(width / ratio)

    def _cropped(self, x: Tensor, height: int, width: int) -> Tensor:
        h, w = x.shape[-2:]
        extra_h, extra_w = max(height - h, 0), max(width - w, 0)
        if extra_h or extra_w:
            sides = (extra_w // 2, (extra_w + 1) // 2, extra_h // 2, (extra_h + 1) // 2)
            fill = self.mean if self.fit == "contain" else (0.0,) * x.shape[1]
            levels = x.new_tensor([round(255 * v) / 255 for v in fill]).view(1, -1, 1, 1)
            x = F.pad(x - levels, sides) + levels
            h, w = x.shape[-2:]
        corner: Callable[[float], int] = round if self.rounds else int
        top, left = corner((h - height) / 2), corner((w - width) / 2)
        return x[..., top : top + height, left : left + width]


@torch.no_grad()
def from_processor(processor: Any, *, where: str) -> Preprocess:
    """The steps of an image processor of transformers, compared with what it does itself to a few pictures.

    ModelError, with its name, for one that does anything else: patches, tiles, padding, an order of its own.
    """
    config = {**dict.fromkeys(_STEPS, False), **processor.to_dict()}  # a step that it does not name is not taken
    try:
        if "data_config" in config:  # a checkpoint of timm
            found = from_timm(config["data_config"], where=where)
        else:
            found = from_transformers(config, where=where)
        for picture in _pictures(found):
            theirs = processor(images=picture.permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"]
            if not alike(found(picture[None]), torch.as_tensor(theirs), found.std):
                raise ModelError("it does more than resize, crop and normalise")
    except (
        ModelError,
        ImportError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        AttributeError,
        IndexError,
    ) as error:
        reason = (str(error).strip() or "it takes no such picture").splitlines()[0]
        what = f"the preprocessing of its {type(processor).__name__} is not supported ({reason})"
        raise ModelError(f"{where}: {what}; use another checkpoint") from error
    return found


def alike(ours: Tensor, theirs: Tensor, std: Sequence[float]) -> bool:
    """Whether two inputs of a network, (1, 3, h, w), are the same picture but for the rounding to 8 bits."""
    if ours.shape != theirs.shape:
        return False
    scale = torch.tensor(list(std)).view(1, -1, 1, 1)
    a, b = ours * scale * 255, theirs.float() * scale * 255
    centred = [(x - x.mean()).flatten() for x in (a, b)]
    cosine = float(F.cosine_similarity(centred[0], centred[1], dim=0))
    return float((a - b).abs().mean()) <= ALIKE_LEVELS and cosine >= ALIKE_COSINE


def _pictures(steps: Preprocess) -> list[Tensor]:
    """Pictures (3, h, w) uint8 as photographs are (smooth, with edges and grain), larger and smaller than what the
    network takes, landscape and portrait, one of them long."""
    side = steps.size if isinstance(steps.size, int) else min(steps.size or steps.crop or (64, 64))
    side = min(side, LARGE)
    shapes = ((1.37, 1.93), (2.11, 0.83), (0.61, 0.5), (0.55, 1.9))
    return [_picture(int(side * h) + 3, int(side * w) + 2, i) for i, (h, w) in enumerate(shapes)]


def _picture(height: int, width: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 7, generator=draw)
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)[0]
    smooth[:, height // 3 : height // 2, width // 4 : width // 2] *= 0.4
    grain = 0.02 * torch.randn(3, height, width, generator=draw)
    return ((smooth + grain).clamp(0, 1) * 255).round().to(torch.uint8)


def from_transformers(config: Mapping[str, Any], *, where: str) -> Preprocess:
    """The steps of a transformers image processor (`processor.to_dict()` or preprocessor_config.json), as read."""
    size, crop = _resized(config, where) if config.get("do_resize", True) else (None, None)
    if config.get("do_center_crop"):
        crop = _pair(config.get("crop_size"))
    mean, std = _normalisation(config)
    return Preprocess(
        size=size,
        crop=crop,
        mode=_mode(config.get("resample", 3), where),
        mean=mean,
        std=std,
        flips=bool(config.get("do_flip_channel_order")),
    )


def _resized(config: Mapping[str, Any], where: str) -> tuple[int | Pair | None, Pair | None]:
    """The size, and a crop that belongs to it: some classes mean by their size what is left after the crop."""
    kind = str(config.get("image_processor_type", "")).removesuffix("Fast").removesuffix("Pil")
    size = _size(config.get("size"), where)
    if kind.startswith("ConvNext") and isinstance(size, int):
        share = float(config.get("crop_pct") or 224 / 256)
        return (int(size / share), (size, size)) if size < 384 else ((size, size), None)
    if kind.startswith("PoolFormer") and config.get("crop_pct"):
        share = float(config["crop_pct"])
        if isinstance(size, tuple) and size[0] != size[1]:
            return (int(size[0] / share), int(size[1] / share)), None
        return int((size if isinstance(size, int) else size[0] if size else 0) / share), None
    if kind.startswith("Levit") and isinstance(size, int):
        return int(256 / 224 * size), None
    return size, None


def _normalisation(config: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """All scaling, shifting and normalising of a processor as one mean and deviation of pixels in [0, 1]."""
    scale = 255 * float(config.get("rescale_factor") or 1 / 255) if config.get("do_rescale", True) else 255.0
    shift = -1.0 if config.get("do_rescale", True) and (config.get("rescale_offset") or config.get("offset")) else 0.0
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    if config.get("do_normalize", True):
        mean, std = _triple(config.get("image_mean", 0.5)), _triple(config.get("image_std", 0.5))
    if config.get("include_top"):  # EfficientNet normalises again, by the deviation alone
        std = tuple(s * again for s, again in zip(std, _triple(config.get("image_std", 0.5)), strict=True))
    return tuple((m - shift) / scale for m in mean), tuple(s / scale for s in std)


def from_timm(config: Mapping[str, Any], *, where: str = "timm") -> Preprocess:
    """The evaluation steps of a timm model (`resolve_model_data_config`): resize to size / crop_pct, centre crop."""
    channels, height, width = (int(v) for v in config["input_size"])
    mode = str(config.get("interpolation", "bicubic"))
    if channels != 3 or mode not in _PIL_MODES.values():
        raise ModelError(f"{where} takes {channels} channels resized by {mode}, which is not supported")
    share = float(config.get("crop_pct") or 0.875)
    large = math.floor(height / share), math.floor(width / share)
    how = str(config.get("crop_mode") or "center")
    fits: dict[str, Fit] = {"squash": "exact", "border": "contain"}
    return Preprocess(
        size=large[0] if how not in fits and large[0] == large[1] else large,
        crop=(height, width),
        mode=mode,
        mean=_triple(config["mean"]),
        std=_triple(config["std"]),
        fit=fits.get(how, "cover"),
        rounds=True,
    )


def from_torchvision(transforms: Any, *, where: str) -> Preprocess:
    """The evaluation steps of torchvision's weights (`weights.transforms()`), compared like a processor's."""
    from torchvision.transforms.functional import to_pil_image

    crop, size = int(transforms.crop_size[0]), int(transforms.resize_size[0])
    found = Preprocess(
        size=size,
        crop=(crop, crop),
        mode=str(transforms.interpolation.value),
        mean=_triple(transforms.mean),
        std=_triple(transforms.std),
        rounds=True,
    )
    if not all(alike(found(p[None]), transforms(to_pil_image(p))[None], found.std) for p in _pictures(found)):
        raise ModelError(f"{where}: the preprocessing of its weights is not supported; use another network")
    return found


def _middle(x: Tensor) -> Tensor:
    """The middle of a very long image, of which a centre crop takes a small part: the whole can be gigabytes."""
    height, width = x.shape[-2:]
    most = LONGEST * min(height, width)
    top, left = (max(0, length - most) // 2 for length in (height, width))
    return x[..., top : height - top, left : width - left]


def _resize(x: Tensor, size: Pair, mode: str) -> Tensor:
    """Width first, then height, as Pillow does: an 8-bit image cannot overshoot between the two."""
    height, width = x.shape[-2:]
    if size == (height, width):
        return x
    if mode == "nearest-exact":
        return F.interpolate(x, size=size, mode=mode)
    for step in ((height, size[1]), size):
        if step != tuple(x.shape[-2:]):
            x = (_lanczos if mode == "lanczos" else _antialiased)(x, step, mode).clamp(0, 1)
    return x


def _antialiased(x: Tensor, size: Pair, mode: str) -> Tensor:
    return F.interpolate(x, size=size, mode=mode, antialias=True, align_corners=False)


def _lanczos(x: Tensor, size: Pair, mode: str) -> Tensor:
    """Pillow's: a sinc of three lobes, as wide as an output pixel; torch has none."""
    height, width = (_sinc_weights(n, m).to(x) for n, m in zip(x.shape[-2:], size, strict=True))
    return torch.einsum("ph,bchw,qw->bcpq", height, x, width)


@lru_cache(maxsize=64)
def _sinc_weights(before: int, after: int) -> Tensor:
    """(after, before): what each pixel gives to each new one."""
    if before == after:
        return torch.eye(before)
    scale = before / after
    wide = max(scale, 1.0)
    centres = (torch.arange(after, dtype=torch.float64) + 0.5) * scale
    apart = (torch.arange(before, dtype=torch.float64) + 0.5 - centres[:, None]) / wide
    weights = torch.where(apart.abs() < 3, torch.sinc(apart) * torch.sinc(apart / 3), 0.0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def _mode(resample: Any, where: str) -> str:
    code = int(resample) if resample is not None else 3
    if code not in _PIL_MODES:
        raise ModelError(f"{where}: resampling must be nearest, bilinear, bicubic or lanczos, got filter {resample}")
    return _PIL_MODES[code]


def _size(size: Any, where: str) -> int | Pair | None:
    if size is None:
        return None
    if not isinstance(size, Mapping):
        return int(size)
    if size.get("shortest_edge") and not size.get("longest_edge"):
        return int(size["shortest_edge"])
    found = None if size.get("longest_edge") else _pair(size)
    if found is None:
        raise ModelError(f"{where}: size must be shortest_edge, or height and width, got {', '.join(map(str, size))}")
    return found


def _pair(size: Any) -> Pair | None:
    if size is None:
        return None
    if isinstance(size, Mapping):
        height = size.get("height") or size.get("shortest_edge")
        width = size.get("width") or size.get("shortest_edge")
        return (int(height), int(width)) if height and width else None
    return (int(size), int(size))


def _triple(value: Any) -> tuple[float, ...]:
    if value is None:
        return (0.5,) * 3
    return tuple(float(v) for v in value) if isinstance(value, (list, tuple)) else (float(value),) * 3
