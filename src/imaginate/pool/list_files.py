"""The files of an inverted file, written: from a table that is read once, or from an earlier one with a few more rows.

Neither holds the vectors in memory: a copy in the order of the table is mapped, and each block of it written to the
lists of its rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from imaginate.pool.centres import POINTS_A_CENTRE, nearest_centres, train_centres
from imaginate.pool.lists import VECTORS, Lists

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

BLOCK = 65_536  # rows that are written at a time
COPY = "rows.f32"


def write_lists(folder: Path, count: int, dim: int, rows: Iterable[tuple[pa.Array, NDArray[np.float32]]]) -> None:
    """Ids and vectors of all rows into `count` lists in `folder`; within a list in the order of the table."""
    import numpy as np
    import pyarrow as pa

    ids = []
    with open(folder / COPY, "wb") as copy:
        for some, vectors in rows:
            copy.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            ids.append(pa.array(some.to_pylist(), pa.large_string()))  # a column would keep its whole batch
    together = pa.chunked_array(ids)
    centres = train_centres(_sample(folder / COPY, (len(together), dim), POINTS_A_CENTRE * count), count)
    lists = np.concatenate([nearest_centres(some, centres) for some in _blocks(folder / COPY, dim)])
    starts = _starts(lists, count)
    free, done = starts[:-1].copy(), 0
    with open(folder / VECTORS, "wb") as file:
        for some in _blocks(folder / COPY, dim):
            _put(file, some, lists[done : done + len(some)], free)
            done += len(some)
    os.unlink(folder / COPY)
    _write_rest(folder, centres, starts, together.take(pa.array(lists.argsort(kind="stable"))))


def _blocks(file: Path, dim: int) -> Iterator[NDArray[np.float32]]:
    """The vectors of a file, some at a time; read, for what is mapped counts as memory of this process."""
    import numpy as np

    with open(file, "rb") as opened:
        while len(some := np.fromfile(opened, "<f4", BLOCK * dim)):
            yield some.reshape(-1, dim)


def _sample(file: Path, shape: tuple[int, int], count: int) -> NDArray[np.float32]:
    """Vectors spread evenly over a file, as many as there are at most."""
    import numpy as np

    mapped = np.memmap(file, dtype="<f4", mode="r", shape=shape)
    return np.array(mapped if count >= len(mapped) else mapped[np.arange(count) * len(mapped) // count])


def fold_in(folder: Path, old: Lists, hidden: NDArray[np.bool_], ids: pa.Array, vectors: NDArray[np.float32]) -> None:
    """The rows of `old` that are not `hidden`, and some new ones, around the same centres into `folder`."""
    import numpy as np
    import pyarrow as pa

    sizes = old.starts[1:] - old.starts[:-1]
    there = np.repeat(np.arange(len(old.centres), dtype=np.int32), sizes)
    there[hidden] = len(old.centres)  # behind all lists
    lists = np.concatenate([there, nearest_centres(vectors, old.centres)]) if len(vectors) else there
    order = lists.argsort(kind="stable")[: len(lists) - int(hidden.sum())]
    with open(folder / VECTORS, "wb") as file:
        for start in range(0, len(order), BLOCK):
            part = order[start : start + BLOCK]
            is_old = part < len(old)
            block = np.empty((len(part), old.centres.shape[1]), np.float32)
            block[is_old] = old.vectors[part[is_old]]
            block[~is_old] = vectors[part[~is_old] - len(old)]
            file.write(block.data)
    both = pa.chunked_array([old.ids, ids.cast(old.ids.type)])
    _write_rest(folder, old.centres, _starts(lists[order], len(old.centres)), both.take(pa.array(order)))


def _starts(lists: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(count + 1,): the first row of each list, and the end of the last."""
    import numpy as np

    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(lists, minlength=count), out=starts[1:])
    return starts


def _put(file: IO[bytes], vectors: NDArray[np.float32], lists: NDArray[np.int32], free: NDArray[np.int64]) -> None:
    """Write vectors at the free places of their lists."""
    import numpy as np

    order = lists.argsort(kind="stable")
    ordered = np.ascontiguousarray(vectors[order], dtype="<f4")
    wanted, firsts, counts = np.unique(lists[order], return_index=True, return_counts=True)
    width = ordered.shape[1] * ordered.itemsize
    for number, first, count in zip(wanted.tolist(), firsts.tolist(), counts.tolist(), strict=True):
        file.seek(int(free[number]) * width)
        file.write(ordered[first : first + count].data)
        free[number] += count


def _write_rest(folder: Path, centres: NDArray[np.float32], starts: NDArray[np.int64], ids: pa.ChunkedArray) -> None:
    """Centres, bounds and ids; all files are on the disk when this returns."""
    import numpy as np
    import pyarrow as pa

    np.save(folder / "centres.npy", centres)
    np.save(folder / "starts.npy", starts)
    table = pa.table({"id": ids.combine_chunks()})
    with pa.ipc.new_file(str(folder / "ids.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=max(1, len(table)))
    for file in folder.iterdir():
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
