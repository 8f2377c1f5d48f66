"""The rows of a run's two tables, read a few at a time, each with its place in the run.

What is held of a row is sixteen bytes: its place, and a hash of what it is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imaginate.engine.verdicts import BEFORE
from imaginate.errors import RunError
from imaginate.files import KEPT, REJECTED, Folder
from imaginate.runs import BATCH, Row, RunFolder

_IDENTITY = ("seed_image", "method", "copy", "rng_seed")  # of a row, in whichever table and class it is


@dataclass(frozen=True)
class Part:
    """Some rows of one of the two tables, in the run's order, and the place of each."""

    table: str
    places: list[int]
    rows: list[Row]


class RunRows:
    """Kept and rejected rows; a row that an interrupted change left in both tables counts as kept.

    A row's place is that in the shards; rows that no shard has come last.
    """

    def __init__(self, store: Folder) -> None:
        self._run = RunFolder(store)
        kept, refused = (self._identities(name) for name in (KEPT, REJECTED))
        shards = [n for n in store.names("shards") if n.endswith(".parquet")]
        order = np.concatenate([np.empty(0, np.int64), *(self._identities(f"shards/{n}") for n in shards)])
        both = np.concatenate([kept, refused])
        by_hash = np.argsort(order, kind="stable")
        at = np.searchsorted(order, both, sorter=by_hash)
        is_known = np.isin(both, order)
        places = np.arange(len(order), len(order) + len(both))
        places[is_known] = by_hash[at[is_known]]
        self._places = {KEPT: places[: len(kept)], REJECTED: places[len(kept) :]}
        self._is_twice = np.isin(refused, kept)

    def parts(self, *, are_kept: bool) -> Iterator[Part]:
        """The rows that are kept, or those that are not, but for what people decided on them: first of the one table,
        then of the other."""
        for name in (KEPT, REJECTED):
            at = 0
            for batch in self._in_order(name):
                rows = slice(at, at := at + batch.num_rows)
                is_chosen = np.asarray(_was_kept(batch)) == are_kept
                if name == REJECTED:
                    is_chosen &= ~self._is_twice[rows]
                if is_chosen.any():
                    places = self._places[name][rows][is_chosen]
                    yield Part(name, places.tolist(), batch.filter(pa.array(is_chosen)).to_pylist())

    def _in_order(self, name: str) -> Iterator[pa.RecordBatch]:
        """The table in pieces; whole in memory where it is not in the run's order, which no command leaves."""
        places = self._places[name]
        if not np.any(places[1:] < places[:-1]):
            yield from self._run.batches(name)
            return
        order = np.argsort(places, kind="stable")
        self._places[name] = places[order]
        if name == REJECTED:
            self._is_twice = self._is_twice[order]
        yield from self._run.table(name).take(pa.array(order)).to_batches(BATCH)

    def _identities(self, name: str) -> np.ndarray:
        """(n,) hashes of what the rows are. RunError for an image that is in neither of the run's folders."""
        parts = [np.empty(0, np.int64)]
        for batch in self._run.batches(name, columns=(*_IDENTITY, "file_name"), needed=_IDENTITY):
            self._check(batch.column("file_name").to_pylist())
            rows = zip(*(batch.column(column).to_pylist() for column in _IDENTITY), strict=True)
            parts.append(np.fromiter(map(hash, rows), np.int64, batch.num_rows))
        return np.concatenate(parts)

    def _check(self, names: Iterable[str | None]) -> None:
        for name in names:
            if name is not None and not name.startswith(("images/", "rejected/")):
                raise RunError(
                    f"{self._run.root} is damaged: its table names {name!r}, which is in neither of its folders"
                )

    def count(self, again: str) -> int:
        """How many rows are judged again: new images that are kept, and those that were rejected by `again`."""
        new = sum(pc.count(batch.column("method")).as_py() for batch in self._run.batches(columns=("method",)))
        for batch in self._run.batches(REJECTED, columns=("reason",)):
            new += pc.sum(pc.starts_with(batch.column("reason"), again)).as_py() or 0
        return int(new)

    def names(self) -> Iterator[str]:
        """The file names in both tables, as they are now."""
        for name in (KEPT, REJECTED):
            for batch in self._run.batches(name, columns=("file_name",)):
                yield from (file for file in batch.column(0).to_pylist() if file is not None)


def _was_kept(batch: pa.RecordBatch) -> Collection[bool]:
    """Whether each row was kept before people decided on it."""
    kept: list[bool] = batch.column("kept").to_pylist()
    if BEFORE not in batch.schema.names:
        return kept
    before = batch.column(BEFORE).to_pylist()
    return [now if text is None else bool(json.loads(text)["kept"]) for now, text in zip(kept, before, strict=True)]
