"""An inverted file of plain vectors: the rows of a pool, those that are near the same centre next to each other.

The files of a folder are mapped, not read, so that a search touches the lists that it visits and memory does not grow
with the pool. All queries are answered together: a list that several of them visit is read once. As in a full scan, a
matrix product finds the candidates, and their cosines are computed again in double precision, so that the other queries
change no answer.

    centres.npy  (lists, dim)                       starts.npy      (lists + 1,): the first row of each list
    vectors.f32  (rows, dim), list after list       ids.arrow       their ids, in the same order
                                                    offsets-V.npy   where they are in version V of the table
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.files import remove_file, replace_file
from imaginate.pool.scan import DIGITS, SLACK, Ranked

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

VECTORS = "vectors.f32"
HELD_NUMBERS = 2**24  # cosines that a search holds at a time


@dataclass(frozen=True)
class Visits:
    """Which lists each query visits, and where their cosines go in its row of the buffer."""

    lists: NDArray[np.int64]  # (queries, probes)
    places: NDArray[np.int64]  # (queries, probes): first column of each
    sizes: NDArray[np.int64]  # (queries,): columns in use


class Lists:
    """The files of one inverted file, opened."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        import pyarrow as pa

        self.centres: NDArray[np.float32] = np.load(folder / "centres.npy")
        self.starts: NDArray[np.int64] = np.load(folder / "starts.npy")
        shape = (int(self.starts[-1]), self.centres.shape[1])
        # `c`: torch takes no array that cannot be written; nothing is ever written to it
        self.vectors: NDArray[np.float32] = np.asarray(np.memmap(folder / VECTORS, dtype="<f4", mode="c", shape=shape))
        self.ids: pa.Array = (
            pa.ipc.open_file(pa.memory_map(str(folder / "ids.arrow"))).read_all()["id"].combine_chunks()
        )

        self._folder = folder

    def __len__(self) -> int:
        return len(self.vectors)

    def offsets(self, version: int) -> NDArray[np.int64] | None:
        """(rows,): where each row is in this version of the table; None where that is not kept."""
        import numpy as np

        file = self._folder / f"offsets-{version}.npy"
        found: NDArray[np.int64] | None = np.load(file, mmap_mode="r") if file.exists() else None
        return found

    def keep_offsets(self, version: int, ids: pa.Array) -> None:
        """Keep where each row is in this version of the table, which has these ids in this order."""
        import numpy as np
        import pyarrow.compute as pc

        found = pc.index_in(self.ids, value_set=ids).to_numpy(zero_copy_only=False).astype(np.int64)
        replace_file(self._folder / f"offsets-{version}.npy", lambda partial: _save(partial, found))
        for file in self._folder.glob("offsets-*.npy"):
            if file.name != f"offsets-{version}.npy":
                remove_file(file)

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        probes: int,
        *,
        hidden: NDArray[np.bool_] | None = None,
        offsets: NDArray[np.int64] | None = None,
    ) -> list[Ranked]:
        """(n, dim) unit-norm queries -> for each the nearest rows of the `probes` lists whose centres are nearest.
        `hidden` (rows,): rows that are not in the pool any more. `offsets` (rows,): where they are in its table."""
        import numpy as np

        probes = min(probes, len(self.centres))
        step = max(1, HELD_NUMBERS // max(1, len(self) * probes // len(self.centres)))
        found: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
        for start in range(0, len(queries), step):
            some = np.ascontiguousarray(queries[start : start + step], dtype=np.float32)
            visits = self._visits(some, probes)
            cosines = self._cosines(some, visits)
            for number, query in enumerate(some):
                places = self._nearest(limit, visits, number, cosines[number], hidden)
                exact = self.vectors[places].astype(np.float64) @ query.astype(np.float64)
                found.append((exact.round(DIGITS) + 0.0, places))
        return self._ranked(found, limit, offsets)

    def _visits(self, queries: NDArray[np.float32], probes: int) -> Visits:
        import torch

        near = torch.from_numpy(queries) @ torch.from_numpy(self.centres).T
        lists = near.topk(probes, sorted=False).indices.numpy()
        sizes = (self.starts[1:] - self.starts[:-1])[lists]
        ends = sizes.cumsum(axis=1)
        return Visits(lists, ends - sizes, ends[:, -1])

    def _cosines(self, queries: NDArray[np.float32], visits: Visits) -> NDArray[np.float32]:
        """(queries, columns): of each query with all rows of its lists; each list is read once."""
        import numpy as np
        import torch

        probes = visits.lists.shape[1]
        out = np.empty((len(queries), int(visits.sizes.max())), np.float32)
        flat = visits.lists.ravel()
        order = flat.argsort(kind="stable")
        lists, firsts = np.unique(flat[order], return_index=True)
        of_query, columns = order // probes, visits.places.ravel()[order].tolist()
        asked, vectors = torch.from_numpy(queries[of_query]), torch.from_numpy(self.vectors)
        rows, lasts = of_query.tolist(), [*firsts[1:].tolist(), len(order)]
        bounds = zip(self.starts[lists].tolist(), self.starts[lists + 1].tolist(), strict=True)
        for (start, stop), first, last in zip(bounds, firsts.tolist(), lasts, strict=True):
            if last == first + 1:
                column = columns[first]
                out[rows[first], column : column + stop - start] = self.vectors[start:stop] @ queries[rows[first]]
                continue
            found = (vectors[start:stop] @ asked[first:last].T).numpy()
            for i in range(first, last):
                out[rows[i], columns[i] : columns[i] + stop - start] = found[:, i - first]
        return out

    def _nearest(
        self, limit: int, visits: Visits, number: int, row: NDArray[np.float32], hidden: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """The nearest rows of one query, in no order, out of the cosines with all rows of its lists."""
        firsts, cosines = visits.places[number], row[: visits.sizes[number]]
        shift = self.starts[visits.lists[number]] - firsts  # from a column to a row
        wanted = limit
        while True:
            columns = _top(cosines, wanted)
            places = columns + shift[firsts.searchsorted(columns, side="right") - 1]
            left: NDArray[np.int64] = places if hidden is None else places[~hidden[places]]
            if len(left) >= limit or len(columns) == len(cosines):
                return left
            wanted *= 2

    def _ranked(
        self,
        found: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]],
        limit: int,
        offsets: NDArray[np.int64] | None,
    ) -> list[Ranked]:
        """Nearest first; equally near rows are ordered by id. The ids of all queries are read together."""
        import numpy as np

        ordered = []
        for values, places in found:
            order = np.argsort(-values, kind="stable")
            ordered.append((values[order], places[order]))
        ids = self.ids.take(np.concatenate([places for _, places in ordered])).to_pylist() if ordered else []
        ranked, start = [], 0
        for values, places in ordered:
            names, start = ids[start : start + len(places)], start + len(places)
            if (values[1:] == values[:-1]).any():
                pairs = sorted(zip((-values).tolist(), names, range(len(names)), strict=True))
                order = np.array([place for _, _, place in pairs])
                values, places, names = values[order], places[order], [names[i] for i in order]
            where = None if offsets is None else offsets[places[:limit]].tolist()
            ranked.append(Ranked(names[:limit], values[:limit].tolist(), where))
        return ranked


def _top(cosines: NDArray[np.float32], limit: int) -> NDArray[np.int64]:
    """Where the `limit` greatest are, and those that single precision may have put below them."""
    import numpy as np

    if len(cosines) <= limit:
        return np.arange(len(cosines))
    last = len(cosines) - limit
    return np.flatnonzero(cosines >= np.partition(cosines, last)[last] - SLACK)


def _save(file: Path, numbers: NDArray[np.int64]) -> None:
    """As .npy, under this very name."""
    import numpy as np

    with open(file, "wb") as opened:
        np.save(opened, numbers)
