"""The three LanceDB tables of a pool, opened, filled and indexed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.errors import RunError
from imaginate.files import partial_folder
from imaginate.ownership import is_begun
from imaginate.pool.indexes import BuiltIndex, config, kind_for, lists_of
from imaginate.pool.rows import LATER, Header, header_of, rows_schema, skipped_schema, units_schema
from imaginate.pool.units import Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENOUGH = 0.95  # the recall from which on an index answers


@dataclass(frozen=True)
class Recall:
    """The share of the true nearest rows that the index finds, by kind of query (`sentences`, `images`)."""

    by_queries: Mapping[str, float]

    @property
    def is_enough(self) -> bool:
        """Whether the index may answer: it was measured, and finds enough for each kind of query."""
        return bool(self.by_queries) and min(self.by_queries.values()) >= ENOUGH


class PoolTable:
    """A pool's tables. `PoolTable.create` opens or makes them for writing, `PoolTable.open` only opens."""

    def __init__(self, path: str, database: Any, header: Header) -> None:
        self.path, self.header = path, header
        self._database = database
        self.rows = database.open_table("rows")
        self.units = database.open_table("units")
        self.skipped = database.open_table("skipped")

    @classmethod
    def open(cls, path: str) -> PoolTable:
        """An existing pool. Raises RunError for a missing, damaged or foreign one."""
        if not _remote(path) and not os.path.isdir(path):
            raise RunError(f"no pool at {path}: build one with `imaginate pool build {path} IMAGES... --guide GUIDE`")
        with explained(path):
            database = _connect(path)
            there = set(database.list_tables().tables)
            if "rows" not in there:
                raise RunError(f"no pool at {path}: it has no table of images")
            header = header_of(database.open_table("rows").schema, path)
            if missing := {"units", "skipped"} - there:
                raise RunError(f"pool {path} is damaged: table {sorted(missing)[0]} is missing; build it again")
            return cls(path, database, header)

    @classmethod
    def create(cls, path: str, header: Header) -> PoolTable:
        """The pool at `path`, created where there is none; a folder that holds something else is refused."""
        cls.check_foreign(path)
        with explained(path):
            # `rows` comes last: a pool that has it is complete.
            new_table(path, "units", schema=units_schema())
            new_table(path, "skipped", schema=skipped_schema())
            new_table(path, "rows", schema=rows_schema(header))
        return cls.open(path)

    @staticmethod
    def check_foreign(path: str) -> None:
        """RunError for a folder that holds something else than a pool."""
        if _remote(path) or not os.path.isdir(path) or os.path.isdir(f"{path}/rows.lance"):
            return
        if not is_begun(path, "pool build"):
            raise RunError(f"{path} is not a pool and not empty: choose another folder")

    def __len__(self) -> int:
        return int(self.rows.count_rows())

    def held(self, columns: Sequence[str]) -> list[str]:
        """Those of the columns that the pool has: pools of earlier versions lack the later ones."""
        there = set(self.rows.schema.names)
        return [name for name in columns if name in there]

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there already."""
        if not ids:
            return set()
        with explained(self.path):
            found = self.rows.search().where(f"id IN ({_quoted(ids)})").select(["id"]).limit(len(ids)).to_arrow()
        return set(found["id"].to_pylist())

    def count_named(self, sources: Sequence[str]) -> int:
        """How many of these names images of the pool have."""
        if not sources:
            return 0
        with explained(self.path):
            found = (
                self.rows.search().where(f"source IN ({_quoted(sources)})").select(["source"]).limit(None).to_arrow()
            )
        return len(set(found["source"].to_pylist()))

    def append_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows (without a field: null), in one atomic commit."""
        import numpy as np
        import pyarrow as pa

        schema = self.rows.schema
        flat = np.concatenate([np.asarray(row["vector"], dtype=np.float32) for row in rows])
        columns = [
            pa.FixedSizeListArray.from_arrays(pa.array(flat), self.header.dim)
            if field.name == "vector"
            else pa.array([row.get(field.name) for row in rows], type=field.type)
            for field in schema
        ]
        with explained(self.path):
            self.rows.add(pa.Table.from_arrays(columns, schema=schema))

    def fill_in(self, facts: Mapping[str, Mapping[str, Any]]) -> int:
        """Facts (`LATER`) of rows by id, where the row has none yet; how many rows learnt something."""
        import pyarrow as pa

        facts = {key: given for key, given in facts.items() if given}
        found, later = [], self.held(LATER)
        for key, row in self.fetch(list(facts), later).items():
            fresh = {name: value for name, value in facts[key].items() if name in row and row[name] is None}
            if fresh:
                found.append({**row, **fresh})
        if found:
            schema = pa.schema([self.rows.schema.field(name) for name in ("id", *later)])
            with explained(self.path):
                merge = self.rows.merge_insert("id").when_matched_update_all()
                merge.execute(pa.Table.from_pylist(found, schema=schema))
        return len(found)

    def append_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Note images that could not be used."""
        with explained(self.path):
            self.skipped.add([{"source": source, "reason": reason} for source, reason in skipped])

    def append_started(self, unit: Unit) -> None:
        """Note that some rows of a unit are in: `imaginate pool info` can then name what an interruption left open."""
        with explained(self.path):
            self.units.add([{"unit": unit.name, "stamp": ""}])

    def append_units(self, units: Sequence[tuple[Unit, Mapping[str, int]]]) -> None:
        """Note units as finished, with the number of images added, known and skipped."""
        with explained(self.path):
            self.units.add([{"unit": unit.name, "stamp": unit.stamp, **counts} for unit, counts in units])

    def fetch(self, ids: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Columns of some rows, by id."""
        wanted = ["id", *[c for c in self.held(columns) if c != "id"]]
        out: dict[str, dict[str, Any]] = {}
        with explained(self.path):
            for start in range(0, len(ids), 1000):
                part = ids[start : start + 1000]
                query = self.rows.search().where(f"id IN ({_quoted(part)})").select(wanted).limit(len(part))
                for row in query.to_arrow().to_pylist():
                    out[row["id"]] = row
        return out

    def vectors(self, block: int) -> Iterator[tuple[Sequence[str], NDArray[np.float32]]]:
        """Ids and unit-norm vectors of all rows, `block` of them at a time."""
        import numpy as np

        count = len(self)
        if not count:
            return
        query = self.rows.search().select(["id", "vector"]).limit(count)
        for batch in query.to_batches(block):
            flat = np.array(batch.column("vector").flatten())
            yield batch.column("id").to_pylist(), flat.reshape(-1, self.header.dim)

    def nearest(
        self, query: NDArray[np.float32], limit: int, columns: Sequence[str], *, kind: str
    ) -> list[dict[str, Any]]:
        """The rows that the vector index finds, with their `similarity`."""
        ask = self.rows.search(query, vector_column_name="vector").distance_type("cosine")
        ask = ask.nprobes(self.built_index().probes(limit, len(self)))
        # Quantised lists only pre-select: the true distances of twice as many decide.
        ask = ask if kind == "IvfFlat" else ask.refine_factor(2)
        rows: list[dict[str, Any]] = ask.limit(limit).select([*self.held(columns), "_distance"]).to_arrow().to_pylist()
        for row in rows:
            row["similarity"] = round(1.0 - row.pop("_distance"), 6)
        return rows

    def built_index(self) -> BuiltIndex:
        """The vector index as it was built. Of a pool that keeps nothing of it: as one of all its rows would be."""
        with explained(self.path):
            if "built" in self._database.list_tables().tables:
                (row,) = self._database.open_table("built").search().limit(1).to_arrow().to_pylist()
                return BuiltIndex(row["lists"], row["rows"])
        return BuiltIndex(lists_of(self.indexed() or "", len(self)), len(self))

    def recall(self) -> Recall:
        """How much the index finds, as it was measured when it was built; nothing for one that was never measured."""
        with explained(self.path):
            if "recall" not in self._database.list_tables().tables:
                return Recall({})
            rows = self._database.open_table("recall").search().limit(None).to_arrow().to_pylist()
        return Recall({row["queries"]: row["recall"] for row in rows if row["rows"] == len(self)})

    def note_recall(self, found: Recall) -> None:
        """Keep what was measured, with the number of rows that it was measured on."""
        facts = {"rows": len(self)}
        self._keep_facts("recall", [{"queries": q, "recall": value, **facts} for q, value in found.by_queries.items()])

    def finished(self) -> dict[str, str]:
        """Unit -> the stamp under which it was finished."""
        with explained(self.path):
            found = self.units.search().select(["unit", "stamp"]).limit(None).to_arrow()
        pairs = zip(found["unit"].to_pylist(), found["stamp"].to_pylist(), strict=True)
        return {unit: stamp for unit, stamp in pairs if stamp}

    def indexed(self) -> str | None:
        """The kind of the vector index, or None."""
        for index in self.rows.list_indices():
            if list(index.columns) == ["vector"]:
                return str(index.index_type)
        return None

    def stale(self) -> bool:
        """Whether more rows came after the vector index was built than it was built of."""
        return self.built_index().is_outgrown(len(self))

    def tidy(self, *, is_alone: bool = False) -> None:
        """Merge small pieces and bring the indexes up to date; what the merge replaced goes away after an hour, and
        where nobody else writes, what a killed build left at once."""
        with explained(self.path):
            for table in (self.rows, self.units, self.skipped):
                table.optimize(cleanup_older_than=timedelta(hours=1), delete_unverified=is_alone)

    def index_ids(self) -> None:
        """A B-tree over the ids, so that a build knows at once what is there."""
        from lancedb.index import BTree

        self.rows.create_index("id", config=BTree(), replace=True)

    def index_vectors(self, kind: str) -> None:
        """Build the vector index anew; `none` and small pools have none and are searched exactly."""
        count = len(self)
        kind = kind_for(kind, count)
        if kind == "none":
            return
        lists = lists_of(kind, count)
        with explained(self.path):
            self.rows.create_index("vector", config=config(kind, lists), replace=True)
        self._keep_facts("built", [{"lists": lists, "rows": count}])

    def _keep_facts(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A small table of facts in place of the earlier one."""
        import pyarrow as pa

        with explained(self.path):
            table = pa.Table.from_pylist(list(rows))
            if not new_table(self.path, name, data=table):
                self._database.create_table(name, data=table, mode="overwrite")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Errors of the storage as one line that names the pool."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:160]
        raise RunError(f"pool {path} cannot be read (damaged, or not reachable): {text}") from None


def new_table(path: str, name: str, **content: Any) -> bool:
    """Create a table, whole or not at all; False where there is one. LanceDB takes a folder without a version, which a
    process that was killed leaves, for a table that cannot be read."""
    if _remote(path):
        if name in _connect(path).list_tables().tables:
            return False
        _connect(path).create_table(name, **content)
        return True
    target = Path(path) / f"{name}.lance"
    if any(target.glob("_versions/*.manifest")):
        return False
    if target.is_dir():
        shutil.rmtree(target)
    with partial_folder(Path(path)) as place:
        _connect(str(place)).create_table(name, **content)
        try:
            os.rename(place / target.name, target)
        except OSError as error:
            if error.errno not in (
                errno.ENOTEMPTY,
                errno.EEXIST,
            ):  # where another process that shares the work was first
                raise
            return False
    return True


def _connect(path: str) -> Any:
    import lancedb

    return lancedb.connect(path)


def _remote(path: str) -> bool:
    return "://" in path


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join("'" + i.replace("'", "''") + "'" for i in ids)
