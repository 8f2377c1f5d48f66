"""Which seed images are of which class: found once for a dataset, however many copies ask."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imaginate.contract import Images
from imaginate.methods.core.kept import Kept


@dataclass(frozen=True, slots=True)
class Members:
    """`labels` of the seed images, and of each class that has any the indices of its images, in order."""

    labels: array[int]
    of: Mapping[int, Sequence[int]]
    samples: Images  # whose id is in the key of `_KEPT`


def members_of(samples: Images) -> Members:
    """The classes of the seed images."""
    return _KEPT.get((id(samples), len(samples)), lambda: _found(samples))


def _found(samples: Images) -> Members:
    labels = array("i", (samples.sample(i).label for i in range(len(samples))))
    of: dict[int, array[int]] = {}
    for index, label in enumerate(labels):
        of.setdefault(label, array("i")).append(index)
    return Members(labels, of, samples)


_KEPT: Kept[Members] = Kept(2)
