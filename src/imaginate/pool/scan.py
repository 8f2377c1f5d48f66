"""Exact search: all queries against all rows in one pass, in blocks, so that memory does not grow with the pool.

A matrix product finds the candidates of every query; their cosines are then computed again one by one in double
precision, so that neither the block, nor the other queries, nor the order of the rows change an answer. Rows that are
equally near are ordered by id.

Sentences are far from all pictures (cosines of 0.2 to 0.3 under CLIP). To find their nearest, a graph or an inverted
file has to visit so much that a full scan in batches costs no more (docs/retrieval.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = 6  # of a similarity, as it is shown and as it orders
SLACK = 2e-6  # what single precision may be off by, and the last digit


Blocks = Iterable[tuple[Sequence[str], "NDArray[np.float32]"]]  # ids and vectors of some rows at a time


@dataclass(frozen=True)
class Ranked:
    """The rows of one query, nearest first: ids and cosines, rounded to `DIGITS`; and where they are in the table, if
    that is known."""

    ids: list[str]
    similarities: list[float]
    offsets: list[int] | None = None


def rank(queries: NDArray[np.float32], limit: int, blocks: Blocks) -> list[Ranked]:
    """(n, dim) unit-norm queries, the `limit` nearest rows wanted of each. `blocks`: ids and unit-norm vectors."""
    import numpy as np

    best = [_Best(query, limit) for query in queries]
    for ids, vectors in blocks:
        cosines = queries @ vectors.T
        last = max(0, len(ids) - limit)  # where the least of the nearest is, in rising order
        bars = np.partition(cosines, last, axis=1)[:, last] - SLACK
        for one, row, bar in zip(best, cosines, bars.tolist(), strict=True):
            one.see(ids, vectors, np.flatnonzero(row >= max(one.bar, bar)))
    return [one.ranked() for one in best]


class _Best:
    """The nearest rows of one query so far. `bar`: rows below this single-precision cosine cannot be among them."""

    def __init__(self, query: NDArray[np.float32], limit: int) -> None:
        self._query, self._limit, self.bar = query.astype("float64"), limit, -2.0
        self._found: list[tuple[float, str]] = []

    def see(self, ids: Sequence[str], vectors: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        """Take in these rows of a block."""
        if not len(places):
            return
        exact = (vectors[places].astype("float64") @ self._query).round(DIGITS)
        self._found += [(-value, ids[place]) for value, place in zip(exact.tolist(), places.tolist(), strict=True)]
        if len(self._found) > self._limit:
            self._found = sorted(self._found)[: self._limit]
            self.bar = -self._found[-1][0] - SLACK

    def ranked(self) -> Ranked:
        """What is nearest of all that was seen."""
        found = sorted(self._found)[: self._limit]
        return Ranked([key for _, key in found], [-value + 0.0 for value, _ in found])


def merged(one: Ranked, other: Ranked, limit: int) -> Ranked:
    """The nearest rows of two answers to the same query."""
    pairs = [(-value, key) for some in (one, other) for value, key in zip(some.similarities, some.ids, strict=True)]
    pairs = sorted(pairs)[:limit]
    return Ranked([key for _, key in pairs], [-value + 0.0 for value, _ in pairs])
