"""SigLIP 2's towers of any aspect (naflex): an image becomes at most so many patches of its own shape, and a mask says
which of them are padding. The steps of the library's processor, as differentiable tensor operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Patches:
    """What the image tower takes: patches (b, n, p p 3), which of them are real (b, n), rows and columns (b, 2)."""

    pixel_values: Tensor
    pixel_attention_mask: Tensor
    spatial_shapes: Tensor


@dataclass(frozen=True, kw_only=True)
class ToPatches:
    """(b, 3, h, w) in [0, 1] -> patches of the largest size of the same aspect that has at most `most` of them."""

    side: int
    most: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Patches:
        from transformers.models.siglip2.image_processing_siglip2 import get_image_size_for_max_num_patches

        tall, wide = images.shape[-2:]
        height, width = get_image_size_for_max_num_patches(tall, wide, self.side, self.most)
        x = F.interpolate(images, size=(height, width), mode="bilinear", antialias=True, align_corners=False)
        mean, std = (x.new_tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        rows, columns, count = height // self.side, width // self.side, len(x)
        cells = ((x - mean) / std).reshape(count, 3, rows, self.side, columns, self.side)
        patches = cells.permute(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1)
        missing = self.most - rows * columns
        mask = torch.ones(count, self.most, dtype=torch.int32, device=x.device)
        mask[:, rows * columns :] = 0
        shapes = torch.tensor([[rows, columns]], device=x.device).expand(count, -1)
        return Patches(F.pad(patches, (0, 0, 0, missing)), mask, shapes)


def to_patches(processor: Any) -> ToPatches:
    """As an image processor of SigLIP 2 says."""
    return ToPatches(
        side=int(processor.patch_size),
        most=int(processor.max_num_patches),
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
    )
