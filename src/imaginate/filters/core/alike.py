"""What the near-duplicate filters share: signatures and embeddings of ragged lists of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imaginate.contract import Context
from imaginate.records import Image


def signatures(images: Sequence[Image]) -> list[str]:
    """The signature of each image (3, h, w) of any size."""
    from imaginate.ops.similarity import signature

    return [signature(image.unsqueeze(0))[0] for image in images]


def mirrored(images: Sequence[Image]) -> list[str]:
    """The signature of each image seen in a mirror."""
    return signatures([image.flip(-1) for image in images])


def squares(images: Sequence[Image]) -> list[Image]:
    """The square in the middle of each image, as tools cut it out that make images of one size."""
    return [square(image) for image in images]


def square(image: Image) -> Image:
    """(..., h, w) -> its middle (..., s, s), s the shorter side; the image itself where it is nearly a square."""
    height, width = image.shape[-2:]
    side = min(height, width)
    if max(height, width) <= 1.02 * side:
        return image
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def embeddings(images: Sequence[Image], context: Context) -> Any:
    """(n, dim) unit-norm embeddings of the guide. Raises ConfigError where there is no guide."""
    from imaginate.models.guides.core.cache import embed_once

    return embed_once(context.guide, images)
