"""Whether a pool has anything near to each class, before bottles are filed as dresses; and whether its images are
still where it found them.

What is near is calibrated by the seeds themselves: the cosine that half of them reach with the mean of the other seeds
of their class. A pool holds a class if most of the nearest images to its mean reach that, too. (Of 102 kinds of
flowers, a pool without flowers held 16 % and one with ten images of each 90 %; by what nine in ten seeds reach, it was
100 % both times.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ImageError, some
from imaginate.ops.batching import map_images
from imaginate.records import Scalar

if TYPE_CHECKING:
    from imaginate.engine.context import RunContext

EACH = 10  # seeds of a class that are embedded
MOST_SEEDS = 1000
NEAREST = 5  # images of the pool that are asked for
MISSED = 0.5  # the share of the seeds that is farther from its class than what counts as near
TRIED = 8  # images of the pool that are read
FEW = 0.5  # with fewer near classes, the pool is of other things


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """Of each class with seeds, whether the pool has images as near to it as its own seeds are. `unreadable`: which
    images of the pool were tried, where none of them could be read, and why."""

    near: dict[int, bool]
    reach: float
    unreadable: str = ""

    @property
    def share(self) -> float:
        """The share of classes that the pool holds."""
        return sum(self.near.values()) / len(self.near)

    @property
    def is_foreign(self) -> bool:
        """Whether the pool is of other things."""
        return self.share < FEW


def nearness(context: RunContext) -> Nearness | None:
    """Compare a pool with the seeds, in the space of the guide; None where no class has two seeds to calibrate by."""
    rows = _seeds_of(context)
    alone = [_left_out(some_rows) for some_rows in rows.values() if len(some_rows) > 1]
    if not alone:
        return None
    reach = float(torch.quantile(torch.cat(alone).double(), MISSED))
    means = torch.stack([F.normalize(some_rows.mean(dim=0), dim=0) for some_rows in rows.values()])
    found = context.pool.search(means, NEAREST)
    enough = [sum(_similarity(row) >= reach for row in some_rows) * 2 > len(some_rows) > 0 for some_rows in found]
    return Nearness(near=dict(zip(rows, enough, strict=True)), reach=reach, unreadable=_unreadable(context, found))


def pool_fact(found: Nearness, names: Sequence[str]) -> str:
    """For how many classes the pool has anything near, and a warning where these are few."""
    far = [names[label] for label, is_near in found.near.items() if not is_near]
    count = len(found.near)
    words = f"the pool has images near to {count - len(far)} of {count} classes (as near as half of the seeds are)"
    if not far:
        return words
    words += f"; none near to {some(far)}"
    if not found.is_foreign:
        return words
    return (
        f"{words}: other things would be filed under these names; use a pool that holds them, or --score head, "
        "which leaves out what it takes for none of the classes"
    )


def unreadable_fact(found: Nearness) -> str:
    """That the pool's images are gone, which a run would find out one by one; "" where one could be read."""
    if not found.unreadable:
        return ""
    return f"the pool's images cannot be read: {found.unreadable}; put their files back, or build the pool again"


def _unreadable(context: RunContext, found: Sequence[Sequence[dict[str, Scalar]]]) -> str:
    """Why none of a few images could be read; "" where one can."""
    reasons: list[str] = []
    for row in [row for rank in zip_longest(*found) for row in rank if row][:TRIED]:  # of every class the nearest first
        try:
            context.pool.image(dict(row))
        except ImageError as error:
            reasons.append(f"{row.get('id')} ({error})")
        else:
            return ""
    return f"tried {len(reasons)}, the first {reasons[0]}" if reasons else ""


def _left_out(rows: Tensor) -> Tensor:
    """(n, dim) -> (n,): the cosine of each row with the mean of the others."""
    others = F.normalize((rows.sum(dim=0) - rows) / (len(rows) - 1), dim=-1)
    return (rows * others).sum(dim=-1)


def _seeds_of(context: RunContext) -> dict[int, Tensor]:
    """Label -> embeddings (n, dim) of a few of its seeds."""
    each = max(2, min(EACH, MOST_SEEDS // max(1, len(context.labels))))
    images: dict[int, list[Tensor]] = {}
    for index in range(len(context.samples)):
        mine = images.setdefault(context.samples.sample(index).label, [])
        if len(mine) < each:
            try:
                mine.append(context.samples.image(index))
            except ImageError:
                continue
    with torch.no_grad():
        return {
            label: F.normalize(map_images(context.guide.embed, mine, device=context.device).float().cpu(), dim=-1)
            for label, mine in sorted(images.items())
            if mine
        }


def _similarity(row: Mapping[str, object]) -> float:
    value = row["similarity"]
    return float(value) if isinstance(value, (int, float)) else -1.0
