"""On-line augmentation of a whole batch of tensors, the same for every arm: `none`, `light` or `strong`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Policy = Literal["none", "light", "strong"]
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]  # mean and deviation of pixels in [0, 1]
IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RAW: Statistics = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def stored_size(size: int) -> int:
    """Side at which images are cached: a seventh more than the input from 128 px up (256 for 224)."""
    return size if size < 128 else round(size * 8 / 7)


def augment(images: torch.Tensor, size: int, policy: Policy, seed: int) -> torch.Tensor:
    """(b, 3, S, S) uint8 -> (b, 3, size, size) in [0, 1]. `light`: random resized crop (RET sec. 3) and flip;
    `strong`: RandAugment (2 operations, magnitude 9), drawn anew for each image at each update, before it."""
    import torch

    if policy == "none":
        return centre(images, size)
    generator = torch.Generator().manual_seed(seed)
    if policy == "strong":
        images = _randaugment(images, generator)
    area = (0.5, 1.0) if size < 128 else (0.08, 1.0)
    return _resized_crop_flip(images.float().div(255), size, area, generator)


def centre(images: torch.Tensor, size: int) -> torch.Tensor:
    """(b, 3, S, S) uint8 -> its centre (b, 3, size, size) in [0, 1]."""
    gap = (images.shape[-1] - size) // 2
    return images[..., gap : gap + size, gap : gap + size].float().div(255)


def normalise(images: torch.Tensor, statistics: Statistics = IMAGENET) -> torch.Tensor:
    """(b, 3, s, s) in [0, 1] -> what a network expects: by ImageNet's mean and deviation, or by its own."""
    mean, std = (images.new_tensor(v).view(1, 3, 1, 1) for v in statistics)
    return (images - mean) / std


def denormalise(images: torch.Tensor, statistics: Statistics = IMAGENET) -> torch.Tensor:
    """Undo `normalise`: (b, 3, s, s) -> [0, 1]."""
    mean, std = (images.new_tensor(v).view(1, 3, 1, 1) for v in statistics)
    return images * std + mean


def _resized_crop_flip(
    images: torch.Tensor, size: int, area: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Random resized crop (area share, aspect 3/4 to 4/3) and horizontal flip, one affine resampling for the batch."""
    import torch
    import torch.nn.functional as F

    u = torch.rand(len(images), 5, generator=generator)
    share = area[0] + (area[1] - area[0]) * u[:, 0]
    aspect = torch.exp((2 * u[:, 1] - 1) * math.log(4 / 3))
    width, height = (share * aspect).sqrt().clamp(max=1), (share / aspect).sqrt().clamp(max=1)
    flip = torch.where(u[:, 2] < 0.5, -1.0, 1.0)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width * flip, height
    theta[:, 0, 2], theta[:, 1, 2] = (1 - width) * (2 * u[:, 3] - 1), (1 - height) * (2 * u[:, 4] - 1)
    grid = F.affine_grid(theta.to(images.device), [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _randaugment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """torchvision's RandAugment on each image alone; it draws from torch's global generator, which is put back."""
    import torch
    from torchvision.transforms import v2

    policy = v2.RandAugment(num_ops=2, magnitude=9)
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([policy(image) for image in images])
