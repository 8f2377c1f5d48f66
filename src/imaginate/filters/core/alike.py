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


def embeddings(images: Sequence[Image], context: Context) -> Any:
    """(n, dim) unit-norm embeddings of the guide. Raises ConfigError where there is no guide."""
    from imaginate.models.guides.core.cache import embed_once

    return embed_once(context.guide, images)
