"""Small random rotation and flip of a seed image, as the released GIF-SD does before encoding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from imaginate.ops.noise import stream


def turn(images: torch.Tensor, seeds: Sequence[int], degrees: float = 15.0) -> torch.Tensor:
    """(b, 3, s, s) rotated by U(-degrees, degrees), mirrored with probability 1/2, black outside; one seed an image."""
    rows = []
    for seed in seeds:
        u = torch.rand(2, generator=stream(seed, "turn"))
        angle = math.radians(float(2 * u[0] - 1) * degrees)
        mirror = -1.0 if u[1] < 0.5 else 1.0
        c, s = math.cos(angle), math.sin(angle)
        rows.append([[c * mirror, -s, 0.0], [s * mirror, c, 0.0]])
    where = functional.affine_grid(torch.tensor(rows).to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, where, align_corners=False)
