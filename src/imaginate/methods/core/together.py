"""A pool that is asked for the first lists of all classes at once: one search of many queries costs little more than
one of a single query."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imaginate.contract import Guide, Pool
from imaginate.methods.core.kept import Kept
from imaginate.records import Image, Scalar

Row = dict[str, Scalar]
HELD_ROWS = 200_000  # of one search: of more, some classes are searched together
HELD_SEARCHES = 2


class Together:
    """The pool, for the `queries` (classes, dim) of one command. When one of them is searched for a list of a length
    that was announced, so are the others, and their answers wait."""

    def __init__(self, pool: Pool, queries: Tensor) -> None:
        self._pool, self._queries, self.guide = pool, queries, pool.guide
        self._labels = {_bytes(query): label for label, query in enumerate(queries)}
        self._lengths = set[int]()
        self._held: Kept[list[list[Row]]] = Kept(HELD_SEARCHES)
        self._places: dict[str, int] = {}  # of the rows whose embeddings were asked for last
        self._rows: Tensor | None = None

    def announce(self, limit: int) -> None:
        """All classes will ask for a list of this length."""
        self._lengths.add(limit)

    def search(self, embeddings: Tensor, limit: int) -> list[list[Row]]:
        """As the pool itself."""
        labels = [self._labels.get(_bytes(one)) for one in embeddings]
        if limit not in self._lengths or None in labels:
            return self._pool.search(embeddings, limit)
        return [self._first(label, limit) for label in labels if label is not None]

    def least(self, limit: int) -> list[float]:
        """The least similarity in the list of this length of each class; -1 for one that is shorter."""
        lists = (self._first(label, limit) for label in range(len(self._queries)))
        return [float(rows[-1]["similarity"] or 0) if len(rows) == limit else -1.0 for rows in lists]

    def _first(self, label: int, limit: int) -> list[Row]:
        """The list of a class, for its caller alone."""
        size = max(1, HELD_ROWS // limit)
        part, place = divmod(label, size)
        some = self._queries[part * size : (part + 1) * size]
        found = self._held.get((limit, part), lambda: self._pool.search(some, limit))
        return [dict(row) for row in found[place]]

    def check(self, guide: Guide) -> None:
        """As the pool itself."""
        self._pool.check(guide)

    def vectors(self, ids: Sequence[str]) -> Tensor | None:
        """As the pool itself. The last answer is kept: a list is put in order as a whole, then judged in parts."""
        if self._rows is None or not all(key in self._places for key in ids):
            self._rows = self._pool.vectors(ids)
            self._places = {key: place for place, key in enumerate(ids)}
        return None if self._rows is None else self._rows[[self._places[key] for key in ids]]

    def sample(self, count: int) -> Tensor | None:
        """As the pool itself."""
        return self._pool.sample(count)

    def closeness(self) -> float:
        """As the pool itself."""
        return self._pool.closeness()

    def image(self, row: Row) -> Image:
        """As the pool itself."""
        return self._pool.image(row)


def _bytes(query: Tensor) -> bytes:
    return query.float().cpu().numpy().tobytes()
