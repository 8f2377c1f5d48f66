"""What a search says of the rows that it finds: read from disk, and from memory once that pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        self._held: dict[str, tuple[Scalar, ...]] = {}

    def of(self, found: Sequence[Ranked]) -> list[list[dict[str, Scalar]]]:
        """For each query its rows, with their similarity."""
        known = self._known({key for one in found for key in one.ids})
        names = (*PLAIN, "similarity")
        return [
            [
                dict(zip(names, (*known[key], value), strict=True))
                for key, value in zip(one.ids, one.similarities, strict=True)
            ]
            for one in found
        ]

    def _known(self, keys: set[str]) -> dict[str, tuple[Scalar, ...]]:
        if not self._held and self._size <= HELD_ROWS and self._read * SHARE >= self._size:
            self._held = self._all()
        missing = sorted(keys - self._held.keys())
        if not missing:
            return self._held
        self._read += len(missing)
        rows: dict[str, dict[str, Any]] = self._table.fetch(missing, PLAIN)
        return {**self._held, **{key: tuple(row[name] for name in PLAIN) for key, row in rows.items()}}

    def _all(self) -> dict[str, tuple[Scalar, ...]]:
        columns = self._table.rows.search().select(list(PLAIN)).limit(self._size).to_arrow()
        values = [columns[name].to_pylist() for name in PLAIN]
        return dict(zip(values[PLAIN.index("id")], zip(*values, strict=True), strict=True))
