"""Where a guide sees the class of an image: the places whose covering costs the class most (Zeiler & Fergus 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.contract import Guide

CELLS, SPAN = 8, 2  # cells a side, and those that are covered at once
BLUR = 0.06  # deviation, a share of the shorter side


def seen_at(guide: Guide, image: Tensor, label: int, device: str) -> Any:
    """(3, h, w) uint8 -> (h, w) float32: how far the margin of the class, z_c - log sum_{k != c} exp z_k of the guide's
    logits z, falls when a window has the image's mean colour; the mean over the windows that cover a place, smoothed.
    """
    import cv2
    import numpy as np
    import torch

    from imaginate.ops.batching import map_images

    height, width = image.shape[-2:]
    tops, lefts = ([round(i * side / CELLS) for i in range(CELLS + 1)] for side in (height, width))
    windows = [
        (slice(tops[i], tops[i + SPAN]), slice(lefts[j], lefts[j + SPAN]))
        for i in range(CELLS + 1 - SPAN)
        for j in range(CELLS + 1 - SPAN)
    ]
    mean = image.float().mean((1, 2)).round().to(torch.uint8)[:, None, None]
    views = [image]
    for rows, columns in windows:
        view = image.clone()
        view[:, rows, columns] = mean
        views.append(view)
    with torch.no_grad():
        logits = guide.logits(map_images(guide.embed, views, device=device)).float().cpu()
    others = logits.clone()
    others[:, label] = -torch.inf
    margin = (logits[:, label] - others.logsumexp(1)).numpy()
    total, count = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for (rows, columns), value in zip(windows, margin[1:], strict=True):
        total[rows, columns] += margin[0] - value
        count[rows, columns] += 1
    return cv2.GaussianBlur(total / np.maximum(count, 1), (0, 0), max(0.5, BLUR * min(height, width)))
