"""A random transform of torchvision as a function of an image and its seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from imaginate.records import Image


def transformed(transform: Callable[[Any], Any], image: Image, seed: int) -> Image:
    """(3, h, w) uint8 -> the same, as the transform does it to a Pillow image after `torch.manual_seed(seed)`; the
    process's own generator stays where it was."""
    from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        changed = transform(to_pil_image(image))
    return pil_to_tensor(changed)
