"""The object of an image by its colours, and where a guide sees its class; an image without it: OpenCV's GrabCut and
inpainting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imaginate.files import content_hash

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 5  # of GrabCut
LITTLE, SURE = 0.5, 0.8  # quantiles of what places say of the class
SMALLEST = 8  # pixels a side, below which colours have no distribution
SOFT = 0.01  # deviation of the edge's blur, a share of the shorter side


def find_object(image: Tensor, box: float, seen: Any = None) -> Any:
    """(3, h, w) uint8 -> (h, w) bool: the object inside the middle box, without specks and holes; the box itself in an
    image of a few pixels or of one colour.

    `seen` (h, w) float: how much each place says of the class (`methods.core.seen`). What says most, a fifth of the
    image or less, is object for sure, the half that says least probably is not, and what says much may be object
    outside of the box.
    """
    import cv2
    import numpy as np

    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    height, width = picture.shape[:2]
    top, left = (round(side * (1 - box) / 2) for side in (height, width))
    inside = np.zeros((height, width), bool)
    inside[top : max(top + 1, height - top), left : max(left + 1, width - left)] = True
    if min(height, width) < SMALLEST or inside.all() or not picture.std():
        return inside
    marks = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    if seen is not None and seen.max() > seen.min():
        scaled = (255 * (seen - seen.min()) / (seen.max() - seen.min())).astype(np.uint8)
        much, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_OTSU)
        marks[(scaled > much) & ~inside] = cv2.GC_PR_FGD
        marks[(scaled < np.quantile(scaled, LITTLE)) & inside] = cv2.GC_PR_BGD
        marks[scaled >= max(np.quantile(scaled, SURE), (much + 255) / 2)] = cv2.GC_FGD
    # k-means inside draws from a global state: the same image has the same object, whatever was cut before it
    cv2.setRNGSeed(int(content_hash(picture.tobytes())[:7], 16))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cut = cv2.grabCut(picture, marks, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)[0]
    found = (cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD)
    return _largest(found)


def filled(image: Tensor, mask: Any) -> Tensor:
    """(3, h, w) uint8 with its own object (h, w) filled from what is around it."""
    import cv2
    import numpy as np
    import torch

    if mask.all() or not mask.any():
        return image
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    side = max(1, round(0.03 * min(mask.shape)))
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * side + 1, 2 * side + 1), np.uint8))
    out = cv2.inpaint(picture, grown, 3, cv2.INPAINT_TELEA)
    return torch.from_numpy(out).permute(2, 0, 1).contiguous()


def composed(image: Tensor, mask: Any, ground: Tensor, style: float) -> Tensor:
    """The object (h, w) bool of an image before another one, both (3, h, w) uint8, with a soft edge."""
    import cv2
    import numpy as np
    import torch

    front, back = (picture.permute(1, 2, 0).numpy() for picture in (image, ground))
    if style and mask.any():
        front = _recoloured(front, mask, back, style)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.5, SOFT * min(mask.shape)))[..., None]
    out = soft * front.astype(np.float32) + (1 - soft) * back.astype(np.float32)
    return torch.from_numpy(out.round().clip(0, 255).astype(np.uint8)).permute(2, 0, 1).contiguous()


def _recoloured(front: Any, mask: Any, back: Any, style: float) -> Any:
    """Reinhard et al. 2001, eq. 10 and 11: mean and deviation of each axis of Lab, here between the object's own and
    those of the background."""
    import cv2
    import numpy as np

    own, new = (cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2LAB).astype(np.float32) for p in (front, back))
    mean, spread = own[mask].mean(0), own[mask].std(0)
    wanted, width = new.mean((0, 1)), new.std((0, 1))
    moved = (own - mean) * (width / np.maximum(spread, 1)) + wanted
    mixed = ((1 - style) * own + style * moved).round().clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(mixed, cv2.COLOR_LAB2RGB)


def _largest(mask: Any) -> Any:
    """The largest connected part, its holes filled."""
    import cv2
    import numpy as np

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    best = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    outside = np.pad(~best, 1, constant_values=True).astype(np.uint8)
    _, around = cv2.connectedComponents(outside, connectivity=4)
    return ~(around == around[0, 0])[1:-1, 1:-1]
