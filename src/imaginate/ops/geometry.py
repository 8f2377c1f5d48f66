"""How a picture of any shape meets a square network and comes back in its own shape.

    pad      the picture in the middle of a square, its border mirrored outwards; afterwards the square is cut back
    crop     the middle square of the picture
    stretch  the picture itself: the network squashes it into its square

`pad` keeps the shape and shows the whole picture, with every prior; that is why it is the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

FitImage = Literal["pad", "crop", "stretch"]
MOST_SIDE = 4096  # of a padded square: networks see far smaller ones, and a long picture would fill the memory


@dataclass(frozen=True, slots=True)
class Window:
    """Where the picture is in its square, and how high and wide it is, in shares of the square's side."""

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0


def window_of(height: int, width: int, how: FitImage) -> Window:
    """The window that `to_square` leaves for a picture of this size."""
    if how != "pad":
        return Window()
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return Window(top / side, left / side, height / side, width / side)


def to_square(image: Tensor, how: FitImage) -> Tensor:
    """(c, h, w) -> (c, s, s), except for `stretch`, which leaves the picture as it is."""
    height, width = image.shape[-2:]
    if how == "stretch" or height == width:
        return image
    if how == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return image[..., top : top + side, left : left + side]
    image = _at_most(image, MOST_SIDE)
    height, width = image.shape[-2:]
    side = max(height, width)
    rows, columns = (_mirrored(length, side).to(image.device) for length in (height, width))
    return image.index_select(-2, rows).index_select(-1, columns)


def cut_back(image: Tensor, window: Window) -> Tensor:
    """(c, s, s) -> the window's part of it, at least one pixel a side: the shape of the picture that was shown."""
    side = image.shape[-1]
    if window == Window():
        return image
    height, width = (max(1, round(share * side)) for share in (window.height, window.width))
    top = min(round(window.top * side), side - height)
    left = min(round(window.left * side), side - width)
    return image[..., top : top + height, left : left + width]


def _at_most(image: Tensor, most: int) -> Tensor:
    """(c, h, w) of any range, made smaller where a side is longer than `most`, at least one pixel a side."""
    from imaginate.ops.pixels import antialiased

    longest = max(image.shape[-2:])
    if longest <= most:
        return image
    height, width = (max(1, round(length * most / longest)) for length in image.shape[-2:])
    small = antialiased(image[None].float(), height, width)[0]
    return small.to(image.dtype) if image.is_floating_point() else small.round().to(image.dtype)


def _mirrored(length: int, side: int) -> Tensor:
    """Which of `length` rows stands at each of `side` places: all of them in the middle, mirrored outwards."""
    import torch

    places = (torch.arange(side) - (side - length) // 2) % (2 * length)
    return torch.where(places < length, places, 2 * length - 1 - places)
