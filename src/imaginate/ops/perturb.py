"""Residual multiplicative perturbation of a latent, f' = (1 + z) f + b (GIF, Eq. 1 and appendix B.2).

`noise_shape` says which entries share one z and one b:

    channel   style: all positions of a channel share them     (c, h, w) -> (c, 1, 1)    (tokens, width) -> (1, width)
    token     content: all channels of a position share them   (c, h, w) -> (1, h, w)    (tokens, width) -> (tokens, 1)
    full      every entry has its own (a whole vector for unCLIP)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from imaginate.ops.noise import normal, uniform

Level = Literal["channel", "token", "full"]


def noise_shape(latent_shape: Sequence[int], level: Level) -> tuple[int, ...]:
    """The shape of z and b for one latent of this shape, without the batch: (c, h, w), (tokens, width) or (dim,)."""
    shape = tuple(latent_shape)
    if level == "full" or len(shape) == 1:
        return shape
    channel = len(shape) - 1 if len(shape) == 2 else 0
    keep_channel = level == "channel"
    return tuple(size if (axis == channel) == keep_channel else 1 for axis, size in enumerate(shape))


def draw(seeds: Sequence[int], latent_shape: Sequence[int], level: Level) -> tuple[torch.Tensor, torch.Tensor]:
    """z ~ U(0, 1) and b ~ N(0, 1), independent for each seed: (k, *noise_shape) each, on the CPU."""
    shape = noise_shape(latent_shape, level)
    return uniform(seeds, "perturb z", shape), normal(seeds, "perturb b", shape)


def perturb(latent: torch.Tensor, z: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """f' = (1 + z) f + b, before the projection (GIF, Eq. 1).

    f (..., *latent_shape), unbounded; z and b of the same leading axes and `noise_shape`, broadcast over the rest ->
    the shape of f. In guidance (n, k, c, h, w) with z, b (n, k, c, 1, 1).
    """
    return latent * (1 + z) + b
