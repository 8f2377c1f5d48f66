"""A part of one image in another one: moved, turned, and blended by OpenCV's seamless cloning (Perez et al. 2003)."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from imaginate.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

ERODED = 3  # pixels by which seamlessClone narrows a mask
Blend = Literal["poisson", "mixed", "plain"]


def check_library(who: str) -> None:
    """ConfigError, in one line, where OpenCV is not installed."""
    if find_spec("cv2") is None:
        raise ConfigError(f"{who} needs opencv, which is not installed: pip install 'imaginate[paste]'")


@dataclass(frozen=True, kw_only=True)
class Move:
    """Where a part goes: pixels to the right and down, and degrees around `pivot` (x, y), the middle of its box."""

    right: int = 0
    down: int = 0
    degrees: float = 0.0
    pivot: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def drawn(cls, rng: random.Random, mask: Any, shift: float, turn: float) -> Move:
        """A uniform turn, then a uniform shift of at most a share of each side; the part stays in the picture, if need
        be by a longer shift."""
        import numpy as np

        height, width = mask.shape
        rows, columns = mask.nonzero()
        pivot = (float(columns.min() + columns.max()) / 2, float(rows.min() + rows.max()) / 2)
        turned = cls(degrees=rng.uniform(-turn, turn), pivot=pivot)
        x, y = turned.matrix() @ np.stack([columns, rows, np.ones_like(rows)])
        right, down = _shift(rng, shift, width, x), _shift(rng, shift, height, y)
        return cls(right=right, down=down, degrees=turned.degrees, pivot=pivot)

    def matrix(self) -> Any:
        """(2, 3): where a pixel (x, y, 1) goes."""
        import cv2

        matrix = cv2.getRotationMatrix2D(self.pivot, self.degrees, 1.0)
        matrix[:, 2] += (self.right, self.down)
        return matrix

    def applied(self, picture: Any) -> Any:
        """The moved picture (h, w) bool or (h, w, 3) uint8; what comes in over the border is mirrored, or nothing."""
        import cv2
        import numpy as np

        size = (picture.shape[1], picture.shape[0])
        if picture.dtype != bool:
            return cv2.warpAffine(picture, self.matrix(), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        moved = cv2.warpAffine(picture.astype(np.uint8), self.matrix(), size, flags=cv2.INTER_NEAREST)
        return moved.astype(bool)


def blend(source: Tensor, mask: Any, target: Tensor, move: Move, how: Blend) -> tuple[Tensor, Any]:
    """The part of `source` (3, h, w) uint8 under `mask` (h, w) bool, moved, in `target` of the same size -> the image
    (3, h, w) uint8 and the moved mask (h, w) bool. Outside of the widened mask the target is as it was."""
    import numpy as np
    import torch

    placed = move.applied(mask)
    picture, ground = (np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in (source, target))
    picture = move.applied(picture)
    out = np.where(placed[..., None], picture, ground) if how == "plain" else _cloned(picture, placed, ground, how)
    return torch.from_numpy(out).permute(2, 0, 1).contiguous(), placed


def margin(height: int, width: int) -> int:
    """The pixels by which a mask is widened, so that its border is on the normal surface around the defect."""
    return max(ERODED + 2, round(0.02 * min(height, width)))


def widened(mask: Any, pixels: int) -> Any:
    """(h, w) bool, grown by a disc."""
    import cv2
    import numpy as np

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def _cloned(picture: Any, mask: Any, ground: Any, how: Blend) -> Any:
    """Seamless cloning in place; at the border of the picture all are mirrored outwards, so that the normal surface is
    around the defect there too."""
    import cv2
    import numpy as np

    if not mask.any():
        return ground
    height, width = mask.shape
    wide = margin(height, width)
    around = _paddings(mask, wide)
    top, left = around[0], around[2]
    parts = (picture, ground, mask.astype(np.uint8))
    picture, base, mirrored = (cv2.copyMakeBorder(p, *around, cv2.BORDER_REFLECT_101) for p in parts)
    grown = widened(mirrored, wide)
    grown[:2] = grown[-2:] = grown[:, :2] = grown[:, -2:] = False
    x, y, box_width, box_height = cv2.boundingRect(grown.astype(np.uint8))
    flag = cv2.NORMAL_CLONE if how == "poisson" else cv2.MIXED_CLONE
    middle = (x + box_width // 2, y + box_height // 2)
    made = cv2.seamlessClone(picture, base, grown.astype(np.uint8) * 255, middle, flag)
    made = np.where(grown[..., None], made, base)
    return np.ascontiguousarray(made[top : top + height, left : left + width])


def _paddings(mask: Any, wide: int) -> tuple[int, int, int, int]:
    """Pixels above, below, left and right: the whole mirror image where the mask is near to that border."""
    near, found = 2 * wide + 4, []
    for axis in (1, 0):
        places, side = mask.any(axis).nonzero()[0], mask.shape[1 - axis]
        found += [max(near, side - 1) if gap < near else wide + 2 for gap in (places[0], side - 1 - places[-1])]
    return found[0], found[1], found[2], found[3]


def _shift(rng: random.Random, share: float, side: int, places: Any) -> int:
    """Pixels along one side for a part at `places`, of which none should leave [0, side)."""
    most = round(share * side)
    low, high = math.ceil(-float(places.min())), math.floor(side - 1 - float(places.max()))
    if low > high:  # longer than the picture: its middle stays
        return (low + high) // 2
    first, last = max(low, -most), min(high, most)
    return rng.randint(first, last) if first <= last else (low if low > most else high)
