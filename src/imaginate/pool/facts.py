"""What a search says of the rows that it finds: read from disk, and from memory once that pays."""

from __future__ import annotations

from collections.abc import Sequence

from imaginate.pool.rows import PLAIN
from imaginate.pool.scan import Ranked
from imaginate.pool.table import PoolTable
from imaginate.records import Scalar

HELD_ROWS = 200_000  # of which the columns are kept in memory
SHARE = 4  # as soon as one in so many of the pool's rows was read, reading all of them costs no more


class Facts:
    """The columns `PLAIN` of a pool's rows. A single search reads the rows that it finds. Searches that have read a
    quarter of a pool will read the rest, so all rows are then kept, where they are not too many."""

    def __init__(self, table: PoolTable) -> None:
        self._table, self._size, self._read = table, len(table), 0
        self._held: dict[str, dict[str, Scalar]] = {}

    def of(self, found: Sequence[Ranked]) -> list[list[dict[str, Scalar]]]:
        """For each query its rows, with their similarity."""
        known = self._at(found) or self._known({key for one in found for key in one.ids})
        return [
            [{**known[key], "similarity": value} for key, value in zip(one.ids, one.similarities, strict=True)]
            for one in found
        ]

    def _at(self, found: Sequence[Ranked]) -> dict[str, dict[str, Scalar]]:
        """Of rows whose places in the table are known, and that are not in memory; else nothing."""
        if self._held:
            return {}
        places = set[int]()
        for one in found:
            if one.offsets is None:
                return {}
            places.update(one.offsets)
        self._read += len(places)
        return {row["id"]: row for row in self._table.take(sorted(places), PLAIN)}

    def _known(self, keys: set[str]) -> dict[str, dict[str, Scalar]]:
        if not self._held and self._size <= HELD_ROWS and self._read * SHARE >= self._size:
            self._held = self._all()
        missing = sorted(keys - self._held.keys())
        if not missing:
            return self._held
        self._read += len(missing)
        return {**self._held, **self._table.fetch(missing, PLAIN)}

    def _all(self) -> dict[str, dict[str, Scalar]]:
        rows = self._table.rows.search().select(self._table.held(PLAIN)).limit(self._size).to_arrow().to_pylist()
        return {row["id"]: row for row in rows}
