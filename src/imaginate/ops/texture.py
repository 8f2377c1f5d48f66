"""The texture that one perturbation of all tokens leaves: the same small pattern in every patch of an image."""

from __future__ import annotations

import torch
from torch.nn import functional

AROUND = 3  # patches a side over which a pattern counts as repeated


def without_texture(images: torch.Tensor, seeds: torch.Tensor, patch: int) -> torch.Tensor:
    """Take out of `images` what their change from `seeds` repeats from patch to patch; differentiable. Ours.

    z and b that all tokens share (Eq. 1, channel by channel) move every patch alike, so the decoder paints one pattern
    everywhere: a grid, on plain surfaces. With d the change of a patch less its own mean, and the average over the
    patches around it, what is taken out is that average of d. Colour, brightness and whatever is a place's own stay.
    Both (b, c, h, w) in [0, 1], on any devices, h and w multiples of `patch` pixels -> as `images`, in [0, 1].
    """
    change = (images - seeds.to(images)).contiguous()
    # pools and shuffles alone: how these sum up, forth and back, does not depend on what else is in the batch
    own = change - functional.interpolate(functional.avg_pool2d(change, patch), scale_factor=patch, mode="nearest")
    patches = functional.pixel_unshuffle(own, patch)  # (b, c * patch * patch, rows, columns)
    common = functional.avg_pool2d(patches, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
    return (images - functional.pixel_shuffle(common, patch)).clamp(0, 1)
