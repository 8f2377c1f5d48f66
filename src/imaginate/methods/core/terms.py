"""The setting `terms`, and the terms that it adds to guidance: `entropy:0.5,chamfer:1`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from imaginate.contract import Context
from imaginate.errors import ConfigError, ImageError
from imaginate.methods.core.kept import Kept
from imaginate.methods.core.members import members_of
from imaginate.records import Request
from imaginate.settings import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from imaginate.ops.terms import Terms, Weights

NAMES = ("entropy", "loss", "prototypes", "chamfer")


def check_terms(given: Sequence[str]) -> None:
    """ConfigError for a term that is not there, without a weight, or given twice."""
    seen = set()
    for text in given:
        name, _, number = text.partition(":")
        if name not in NAMES:
            raise ConfigError(f"terms: there is no term {name!r}{nearest(name, NAMES)}")
        if name in seen:
            raise ConfigError(f"terms: {name} is given twice")
        seen.add(name)
        _weight(text, number)


def weights_of(given: Sequence[str]) -> Weights:
    """The weight of each term."""
    from imaginate.ops.terms import Weights

    found = {name: _weight(name, number) for name, _, number in (text.partition(":") for text in given)}
    assert set(NAMES) == {f.name for f in fields(Weights)}
    return Weights(**found)


def terms_for(given: Sequence[str], requests: Sequence[Request], context: Context) -> Terms | None:
    """The terms for these seeds, with what they compare with; None where none is given."""
    import torch

    from imaginate.ops.terms import Terms

    weights = weights_of(given)
    if weights == type(weights)():
        return None
    labels = torch.tensor([request.label for request in requests])
    if not weights.compares:
        return Terms(weights=weights, labels=labels)
    classes = [_class_of(request.label, context) for request in requests]
    return Terms(
        weights=weights,
        labels=labels,
        prototypes=[one.prototypes for one in classes],
        seeds=[one.seeds for one in classes],
    )


@dataclass(frozen=True)
class _Class:
    """What copies of a class are compared with: its seed images as the guide sees them (r, d), unit norm, and their
    prototypes (p, d); and the owners of the ids in the key of `_KEPT`."""

    seeds: Tensor
    prototypes: Tensor
    owners: tuple[object, object]


_KEPT: Kept[_Class] = Kept(512)


def _class_of(label: int, context: Context) -> _Class:
    """Embedded and grouped once, kept between calls."""
    from imaginate.ops.terms import prototypes_of

    def make() -> _Class:
        seeds = _embedded(label, context)
        return _Class(seeds, prototypes_of(seeds), (context.samples, context.guide))

    return _KEPT.get((label, id(context.samples), id(context.guide)), make)


def _embedded(label: int, context: Context) -> Tensor:
    import torch

    from imaginate.ops.batching import map_images

    images = []
    for index in members_of(context.samples).of.get(label, ()):
        try:
            images.append(context.samples.image(index))
        except ImageError:
            continue
    if not images:
        raise ConfigError(f"terms: class {context.labels[label].name!r} has no readable seed image to compare with")
    with torch.no_grad():
        found: Tensor = map_images(context.guide.embed, images, device=context.device).float().cpu()
    return found


def _weight(text: str, number: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1000:
        raise ConfigError(f"terms: {text!r} needs a weight from 0 to 1000, as in {text.partition(':')[0]}:0.5")
    return weight
