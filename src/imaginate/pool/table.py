"""The three LanceDB tables of a pool, opened, filled and indexed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaginate.errors import RunError
from imaginate.files import partial_folder
from imaginate.ownership import is_begun
from imaginate.pool.database import connect, explained, is_remote, new_table, quoted
from imaginate.pool.indexes import OWN, BuiltIndex, config, kind_for, lists_of
from imaginate.pool.list_files import write_lists
from imaginate.pool.lists import Lists
from imaginate.pool.rows import LATER, Header, header_of, rows_schema, skipped_schema, units_schema
from imaginate.pool.units import Unit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

LISTS = "lists"  # folder of the files of our own index
PART, BLOCK = 131_072, 8192  # rows that are asked for, and that are read, at a time
ENOUGH = 0.95  # the recall from which on an index answers


@dataclass(frozen=True)
class Recall:
    """The share of the true nearest rows that the index finds, by kind of query (`sentences`, `images`)."""

    by_queries: Mapping[str, float]

    @property
    def is_enough(self) -> bool:
        """Whether the index may answer: it was measured, and finds enough for each kind of query."""
        return bool(self.by_queries) and min(self.by_queries.values()) >= ENOUGH - 1e-9  # sums of shares are inexact


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
        if not is_remote(path) and not os.path.isdir(path):
            raise RunError(f"no pool at {path}: build one with `imaginate pool build {path} IMAGES... --guide GUIDE`")
        with explained(path):
            database = connect(path)
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
        if is_remote(path) or not os.path.isdir(path) or os.path.isdir(f"{path}/rows.lance"):
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
            found = self.rows.search().where(f"id IN ({quoted(ids)})").select(["id"]).limit(len(ids)).to_arrow()
        return set(found["id"].to_pylist())

    def count_named(self, sources: Sequence[str]) -> int:
        """How many of these names images of the pool have."""
        if not sources:
            return 0
        with explained(self.path):
            found = self.rows.search().where(f"source IN ({quoted(sources)})").select(["source"]).limit(None).to_arrow()
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

    def take(self, offsets: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Columns of the rows at these places, which rise."""
        with explained(self.path):
            found: list[dict[str, Any]] = (
                self.rows.take_offsets(list(offsets)).select(self.held(columns)).to_arrow().to_pylist()
            )
        return found

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
                query = self.rows.search().where(f"id IN ({quoted(part)})").select(wanted).limit(len(part))
                for row in query.to_arrow().to_pylist():
                    out[row["id"]] = row
        return out

    def vectors(self, block: int) -> Iterator[tuple[Sequence[str], NDArray[np.float32]]]:
        """Ids and unit-norm vectors of all rows, `block` of them at a time."""
        for ids, vectors in self.batches(block):
            yield ids.to_pylist(), vectors

    def batches(self, block: int = BLOCK) -> Iterator[tuple[pa.Array, NDArray[np.float32]]]:
        """The same, with the ids as an arrow array. Each part is a query of its own: within one, LanceDB reads up to 2
        GiB ahead."""
        for start in range(0, len(self), PART):
            query = self.rows.search().select(["id", "vector"]).offset(start).limit(PART)
            for batch in query.to_batches(block):
                yield batch.column("id"), batch.column("vector").flatten().to_numpy().reshape(-1, self.header.dim)

    def sample(self, count: int) -> NDArray[np.float32]:
        """The vectors of rows spread evenly over the table, as many as there are at most."""
        there = len(self)
        places = sorted({there * i // count for i in range(count)}) if there else []
        with explained(self.path):
            return self._flat(self.rows.take_offsets(places).select(["vector"]).to_arrow() if places else None)

    def vectors_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of rows that are there, in the order of their ids."""
        import numpy as np

        found = np.zeros((len(ids), self.header.dim), np.float32)
        place = {key: i for i, key in enumerate(ids)}
        with explained(self.path):
            for start in range(0, len(ids), 1000):
                part = ids[start : start + 1000]
                query = self.rows.search().where(f"id IN ({quoted(part)})").select(["id", "vector"]).limit(len(part))
                table = query.to_arrow()
                found[[place[key] for key in table["id"].to_pylist()]] = self._flat(table)
        return found

    def _flat(self, table: pa.Table | None) -> NDArray[np.float32]:
        """(rows, dim): the vectors of an arrow table."""
        import numpy as np

        if table is None or not len(table):
            return np.zeros((0, self.header.dim), np.float32)
        return np.array(table["vector"].combine_chunks().flatten()).reshape(-1, self.header.dim)

    def ids(self) -> pa.Array:
        """The ids of all rows, as an arrow array."""
        import pyarrow as pa

        with explained(self.path):
            found = self.rows.search().select(["id"]).limit(max(1, len(self))).to_arrow()["id"]
        return found.cast(pa.large_string()).combine_chunks()

    def version(self) -> int:
        """A number that grows with each change of the rows."""
        return int(self.rows.version)

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
                return BuiltIndex(**row)
        return BuiltIndex(lists_of(self._lance_index() or "", len(self)), len(self))

    def keep_built(self, built: BuiltIndex) -> None:
        """Keep what is known of the index; it answers from now on."""
        self._keep_facts("built", [asdict(built)])

    def recall(self) -> Recall:
        """How much the index finds, as it was measured when it was built; nothing for one that was never measured."""
        with explained(self.path):
            if "recall" not in self._database.list_tables().tables:
                return Recall({})
            rows = self._database.open_table("recall").search().limit(None).to_arrow().to_pylist()
        folder, count = self.built_index().folder, len(self)
        return Recall(
            {
                row["queries"]: row["recall"]
                for row in rows
                if row.get("folder", "") == folder and (folder or row["rows"] == count)
            }
        )

    def note_recall(self, found: Recall) -> None:
        """Keep what was measured, with the number of rows and the files that it was measured on."""
        facts = {"rows": len(self), "folder": self.built_index().folder}
        self._keep_facts("recall", [{"queries": q, "recall": value, **facts} for q, value in found.by_queries.items()])

    def finished(self) -> dict[str, str]:
        """Unit -> the stamp under which it was finished."""
        with explained(self.path):
            found = self.units.search().select(["unit", "stamp"]).limit(None).to_arrow()
        pairs = zip(found["unit"].to_pylist(), found["stamp"].to_pylist(), strict=True)
        return {unit: stamp for unit, stamp in pairs if stamp}

    def indexed(self) -> str | None:
        """The kind of the vector index, or None."""
        return self.built_index().kind or self._lance_index()

    def _lance_index(self) -> str | None:
        for index in self.rows.list_indices():
            if list(index.columns) == ["vector"]:
                return str(index.index_type)
        return None

    def lists_folder(self, name: str) -> Path:
        """Where the files of our own index are."""
        return Path(self.path) / LISTS / name

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
        count, is_local = len(self), not is_remote(self.path)
        kind = kind_for(kind, count, is_local=is_local)
        if kind == "none":
            return
        lists = lists_of(kind, count)
        if kind == OWN and is_local:
            dim = self.header.dim
            self.put_lists(BuiltIndex(lists, count), lambda folder: write_lists(folder, lists, dim, self.batches()))
            return
        with explained(self.path):
            self.rows.create_index("vector", config=config(kind, lists), replace=True)
        self.keep_built(BuiltIndex(lists, count))

    def put_lists(self, built: BuiltIndex, write: Callable[[Path], None]) -> None:
        """Files of our own index, whole or not at all, in place of the earlier ones."""
        name, version = uuid.uuid4().hex[:12], self.version()
        target = self.lists_folder(name)
        with explained(self.path), partial_folder(Path(self.path)) as place:
            (place / name).mkdir()
            write(place / name)
            Lists(place / name).keep_offsets(version, self.ids())
            target.parent.mkdir(exist_ok=True)
            os.rename(place / name, target)
        self.keep_built(replace(built, kind=OWN, folder=name, version=version))
        for other in target.parent.iterdir():
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)  # who reads them still has them

    def _keep_facts(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A small table of facts in place of the earlier one."""
        import pyarrow as pa

        with explained(self.path):
            table = pa.Table.from_pylist(list(rows))
            if not new_table(self.path, name, data=table):
                self._database.create_table(name, data=table, mode="overwrite")
