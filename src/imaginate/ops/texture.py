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
    b, c, h, w = images.shape
    rows, columns = h // patch, w // patch
    change = (images - seeds.to(images)).reshape(b, c, rows, patch, columns, patch)
    own = change - change.mean(dim=(3, 5), keepdim=True)
    planes = own.permute(0, 1, 3, 5, 2, 4).reshape(b, c * patch * patch, rows, columns)
    common = functional.avg_pool2d(planes, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False)
    pattern = common.reshape(b, c, patch, patch, rows, columns).permute(0, 1, 4, 2, 5, 3).reshape(b, c, h, w)
    return (images - pattern).clamp(0, 1)
