"""Our own index of a pool as the pool is now: its lists, the rows that came since, and those that went.

Every search of an index that is behind its table takes the difference into account: rows that came are compared one by
one, rows that went are left out. The next build folds the difference in.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imaginate.files import first_line
from imaginate.pool.database import explained
from imaginate.pool.indexes import OWN, BuiltIndex
from imaginate.pool.list_files import fold_in
from imaginate.pool.lists import Lists
from imaginate.pool.scan import Ranked, merged, rank
from imaginate.pool.table import PoolTable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FEW, SHARE = 10_000, 10  # rows that may have come since: so many, or one in so many

log = logging.getLogger("imaginate")


@dataclass(frozen=True)
class Difference:
    """What changed since the lists were written. `hidden` (rows of the lists,): rows that went."""

    hidden: NDArray[np.bool_]
    ids: pa.Array
    vectors: NDArray[np.float32]

    def __bool__(self) -> bool:
        return bool(len(self.ids)) or bool(self.hidden.any())


@dataclass(frozen=True)
class ListIndex:
    """An index that is ready to answer; `since` is None where nothing changed, and `offsets` then says where its rows
    are in the table."""

    built: BuiltIndex
    lists: Lists
    since: Difference | None = None
    offsets: NDArray[np.int64] | None = None

    def search(self, queries: NDArray[np.float32], limit: int, probes: int | None = None) -> list[Ranked]:
        """(n, dim) unit-norm queries -> the nearest rows of each, of the lists that are visited."""
        probes = probes or self.built.probes(limit, len(self.lists))
        if self.since is None:
            return self.lists.search(queries, limit, probes, offsets=self.offsets)
        hidden = self.since.hidden if self.since.hidden.any() else None
        found = self.lists.search(queries, limit, probes, hidden=hidden)
        if not len(self.since.ids):
            return found
        came = rank(queries, limit, [(self.since.ids.to_pylist(), self.since.vectors)])
        return [merged(a, b, limit) for a, b in zip(found, came, strict=True)]


def open_index(table: PoolTable) -> ListIndex | None:
    """The index of a pool; None where it has none of our own, or one that so many rows lack that it is no help."""
    built = table.built_index()
    if not built.folder:
        return None
    try:
        lists = Lists(table.lists_folder(built.folder))
    except (OSError, ValueError) as error:
        log.warning(
            f"the index of pool {table.path} cannot be read ({first_line(error)}): searched exactly; "
            "run `imaginate pool build` again"
        )
        return None
    if table.version() == built.version:
        return ListIndex(built, lists, offsets=lists.offsets(built.version))
    since = _difference(table, lists)
    return None if since is None else ListIndex(built, lists, since=since)


def _difference(table: PoolTable, lists: Lists) -> Difference | None:
    import pyarrow.compute as pc

    now = table.ids()
    hidden = pc.invert(pc.is_in(lists.ids, value_set=now)).to_numpy(zero_copy_only=False)
    came = now.filter(pc.invert(pc.is_in(now, value_set=lists.ids)))
    if len(came) > max(FEW, len(lists) // SHARE):
        log.warning(
            f"pool {table.path} has {len(came):,} images that its index lacks, so that it is searched exactly: the "
            "next `imaginate pool build` brings the index up to date"
        )
        return None
    with explained(table.path):
        return Difference(hidden, came, table.vectors_of(came.to_pylist()))


def bring_up_to_date(table: PoolTable, kind: str) -> None:
    """Fold in what changed since the lists were written; build anew where that is much, or where they are gone. A pool
    that has lists keeps some, whatever its size."""
    kind = OWN if kind in ("auto", "none") else kind
    built, index = table.built_index(), open_index(table)
    since = None if index is None else index.since
    if index is None:
        table.index_vectors(kind)
    elif since is None:
        return
    elif not since:
        index.lists.keep_offsets(table.version(), table.ids())
        table.keep_built(replace(built, version=table.version()))
    elif SHARE * (len(since.ids) + int(since.hidden.sum())) > len(index.lists):
        table.index_vectors(kind)
    else:
        kept = table.recall()
        table.put_lists(built, lambda folder: fold_in(folder, index.lists, since.hidden, since.ids, since.vectors))
        table.note_recall(kept)
