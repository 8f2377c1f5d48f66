"""Draws that come out as numbers: a row of NaN or infinity is drawn again from a new seed, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from imaginate.ops.noise import substream

TRIES = 3


@dataclass(frozen=True)
class Finite:
    """`values` (n, ...), finite; `retried`: row -> how often it was drawn again; `lost`: rows that never became
    numbers, with zeros in their place."""

    values: torch.Tensor
    retried: dict[int, int] = field(default_factory=dict)
    lost: tuple[int, ...] = ()

    def repeat(self, copies: int) -> Finite:
        """Every row `copies` times: one draw that several copies share."""
        retried = {row * copies + j: count for row, count in self.retried.items() for j in range(copies)}
        lost = tuple(row * copies + j for row in self.lost for j in range(copies))
        return Finite(self.values.repeat_interleave(copies, dim=0), retried, lost)


def draw_finite(draw: Callable[[Sequence[int], Sequence[int]], torch.Tensor], seeds: Sequence[int]) -> Finite:
    """`draw(rows, seeds)` -> (len(rows), ...) for all rows; again, up to `TRIES` times, for those that are no numbers.

    The new seed of a row is derived from its own, so that no other row matters.
    """
    values = draw(range(len(seeds)), seeds)
    retried: dict[int, int] = {}
    for attempt in range(1, TRIES):
        rows = broken(values)
        if not rows:
            return Finite(values, retried)
        values[rows] = draw(rows, [substream(seeds[row], f"retry {attempt}") for row in rows]).to(values)
        retried |= dict.fromkeys(rows, attempt)
    lost = broken(values)
    values[lost] = 0.0
    return Finite(values, retried, tuple(lost))


def broken(values: torch.Tensor) -> list[int]:
    """The rows of (n, ...) that hold NaN or infinity."""
    bad = ~torch.isfinite(values).flatten(1).all(dim=1)
    return [int(row) for row in bad.nonzero().flatten()]
