"""Pictures without colour."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 2  # levels of 255: what a JPEG's rounding adds to a grey picture
_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's grey


def is_grey(image: Tensor) -> bool:
    """Whether the channels of (3, h, w) uint8 are equal, within the rounding of a JPEG."""
    low, high = image.amin(dim=0).int(), image.amax(dim=0).int()
    return bool((high - low).max() <= TOLERANCE)


def to_grey(image: Tensor) -> Tensor:
    """(3, h, w) uint8 or floating point -> the same type, its luminance in each channel. Not a number stays so."""
    weights = torch.tensor(_WEIGHTS, device=image.device).view(3, 1, 1)
    grey = (image.float() * weights).sum(dim=0, keepdim=True)
    if not image.is_floating_point():
        grey = grey.round().clamp(0, 255)
    return grey.to(image.dtype).expand(3, -1, -1).contiguous()
