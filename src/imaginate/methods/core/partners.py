"""A second image for methods that mix two, and the label that the mixture carries."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from imaginate.contract import Images
from imaginate.errors import ImageError
from imaginate.methods.core.members import members_of
from imaginate.records import Request

if TYPE_CHECKING:
    from torch import Tensor


def draw_partner(
    samples: Images, rng: random.Random, height: int, width: int, *, but: str | None = None
) -> tuple[Tensor, int, str]:
    """A seed image drawn uniformly, resized to (3, height, width) uint8, with its label and id.

    An unusable file is passed over for the next one; so is the image `but`, where there are others.
    """
    start = rng.randrange(len(samples))
    for step in range(len(samples)):
        index = (start + step) % len(samples)
        try:
            image = samples.image(index)
        except ImageError:
            continue
        sample = samples.sample(index)
        if sample.id == but and step + 1 < len(samples) > 1:
            continue
        return at_size(image, height, width), sample.label, sample.id
    raise ImageError("no usable partner image")


def draw_of_class(samples: Images, request: Request, seed: int) -> tuple[str, Tensor]:
    """Another seed image of the request's class, drawn uniformly, as (its id, (3, h, w) uint8); ("", the request's own)
    where there is none that can be used."""
    from imaginate.ops.noise import pick

    own = members_of(samples).of.get(request.label, ())
    others = [i for i in own if samples.sample(i).id != request.key]
    start = pick(seed, "partner", len(others)) if others else 0
    for step in range(len(others)):
        index = others[(start + step) % len(others)]
        try:
            return samples.sample(index).id, samples.image(index)
        except ImageError:
            continue
    return "", request.image


def mixed_label(classes: int, first: int, second: int, weight: float) -> tuple[float, ...]:
    """`weight` on the first label and the rest on the second; sums to 1."""
    soft = [0.0] * classes
    soft[first] += weight
    soft[second] += 1.0 - weight
    return tuple(soft)


def at_size(image: Tensor, height: int, width: int) -> Tensor:
    """(3, h, w) uint8 of any size -> (3, height, width) uint8."""
    if tuple(image.shape[-2:]) == (height, width):
        return image
    from imaginate.ops.pixels import antialiased

    return antialiased(image[None], height, width)[0]  # in whole numbers: a third of the time of floats
