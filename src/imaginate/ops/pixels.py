"""Images of any size, grey or colour, as one float batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def as_float(image: torch.Tensor) -> torch.Tensor:
    """(1 or 3, h, w) uint8 or float -> (3, h, w) float32 in [0, 1]; a grey image is repeated over the channels."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"an image must be (1 or 3, h, w), got {tuple(image.shape)}")
    pixels = image.float() / 255 if image.dtype == torch.uint8 else image.float().clamp(0, 1)
    return pixels.expand(3, -1, -1)


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """(b, c, h, w) in [0, 1] -> (b, c, size, size), antialiased bicubic, differentiable, back into [0, 1]."""
    if images.shape[-2:] == (size, size):
        return images
    out = functional.interpolate(images.float(), (size, size), mode="bicubic", antialias=True, align_corners=False)
    return out.clamp(0, 1)


def antialiased(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(b, c, h, w) floats or uint8 -> (b, c, height, width) of the same type, antialiased bilinear.

    torch 2.14 computes wrong values on a CPU where the new width is 1; with rows and columns swapped it does not. Nor
    can it make a single uint8 pixel.
    """
    if images.dtype == torch.uint8 and height == width == 1:
        return antialiased(images.float(), height, width).round_().to(torch.uint8)
    if width == 1 and height > 1:
        return antialiased(images.transpose(2, 3).contiguous(), width, height).transpose(2, 3)
    return functional.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)


def stack(images: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """Images of any sizes -> (b, 3, size, size) float32 in [0, 1]; each resized alone: its batch cannot matter."""
    return torch.cat([resize(as_float(image)[None], size) for image in images])
