"""The rows of a run: one an image, kept or rejected, written a shard at a time and merged in a stream."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imaginate.files import KEPT, REJECTED, Folder
from imaginate.runs import RunFolder

GROUP = 8192  # rows of a row group: a table of many small ones takes 27 kB of memory for each

BASE = pa.schema(
    [
        ("file_name", pa.string()),
        ("label", pa.int64()),
        ("class_name", pa.string()),
        ("origin", pa.string()),
        ("seed_image", pa.string()),
        ("method", pa.string()),
        ("copy", pa.int64()),
        ("prompt", pa.string()),
        ("prior", pa.string()),
        ("guide", pa.string()),
        ("rng_seed", pa.int64()),
        ("kept", pa.bool_()),
        ("reason", pa.string()),
        ("soft_label", pa.list_(pa.float64())),
    ]
)


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows (dicts with the base columns, `score_*` and `info_*`) as a table with a fixed column order and types."""
    extra = sorted({key for row in rows for key in row} - set(BASE.names))
    fields = list(BASE) + [pa.field(name, _type(name, rows)) for name in extra]
    columns = [_column(field, rows) for field in fields]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _type(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.DataType:
    kinds = {type(row[name]) for row in rows if row.get(name) is not None}
    if name.startswith("score_") or (float in kinds and kinds <= {int, float}):
        return pa.float64()
    if kinds == {bool}:
        return pa.bool_()
    return pa.int64() if kinds == {int} else pa.string()


def _column(field: pa.Field, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
    values = [row.get(field.name) for row in rows]
    if pa.types.is_string(field.type):
        values = [v if v is None or isinstance(v, str) else str(v) for v in values]
    return pa.array(values, type=field.type)


def encoded(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One shard's rows as parquet bytes."""
    out = io.BytesIO()
    pq.write_table(table(rows), out)
    return out.getvalue()


def merge(store: Folder, shards: Iterable[str], refused: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """Stream the shard tables, in order, into `metadata.parquet` (kept) and `rejected.parquet`. Memory: one shard.

    `refused`: file name -> (its name now, the reason), for images that a shard kept and the whole run did not.

    Returns the number of rows of each file.
    """
    names = list(shards)
    schema = unified(schema_of(store, name) for name in names)
    with (
        store.writing(REJECTED) as refused_file,
        writer(refused_file, schema) as refused_rows,
        store.writing(KEPT) as kept_file,
        writer(kept_file, schema) as kept_rows,
    ):
        for name in names:
            part = _with_refusals(read(store, name), refused)
            is_kept = part.column("kept")
            kept_rows.write(fitted(part.filter(is_kept), schema))
            refused_rows.write(fitted(part.filter(pc.invert(is_kept)), schema))
    return {KEPT: kept_rows.count, REJECTED: refused_rows.count}


class RowWriter:
    """Writes rows to a parquet file in groups of `GROUP`, however they come: the same rows give the same bytes."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self.count = 0
        self._file, self._waiting = file, list[pa.Table]()

    def write(self, rows: pa.Table) -> None:
        """More rows, in the columns of the file."""
        if not rows.num_rows:
            return
        before, self.count = self.count, self.count + rows.num_rows
        self._waiting.append(rows)
        if self.count // GROUP > before // GROUP:
            self._write(whole_groups=True)

    def finish(self) -> None:
        """The last rows, which may be fewer."""
        self._write(whole_groups=False)

    def _write(self, *, whole_groups: bool) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting).combine_chunks()
        until = rows.num_rows - rows.num_rows % GROUP if whole_groups else rows.num_rows
        if until:
            self._file.write_table(rows.slice(0, until), row_group_size=GROUP)
        rest = rows.slice(until)
        self._waiting = [rest] if rest.num_rows else []


@contextmanager
def writer(file: IO[bytes], schema: pa.Schema) -> Iterator[RowWriter]:
    """A parquet file of rows with this schema, which is whole at the end of the block."""
    with pq.ParquetWriter(file, schema) as opened:
        rows = RowWriter(opened)
        yield rows
        rows.finish()


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The base columns, then every other column of any shard, sorted; types widened where shards differ."""
    kinds: dict[str, pa.DataType] = {}
    for schema in schemas:
        for field in schema:
            known = kinds.get(field.name, pa.null())
            kinds[field.name] = _wider(known, field.type)
    texts = {name for name, kind in kinds.items() if kind == pa.null()}
    extra = [
        pa.field(name, pa.string() if name in texts else kinds[name]) for name in sorted(set(kinds) - set(BASE.names))
    ]
    return pa.schema(list(BASE) + extra)


def filled(part: pa.Table) -> pa.Schema:
    """The columns of a table with their types, those of unknown type (all empty) as `null`."""
    kinds = [pa.null() if part.column(f.name).null_count == part.num_rows else f.type for f in part.schema]
    fields = zip(part.schema, kinds, strict=True)
    return pa.schema([f if f.name.startswith("score_") else f.with_type(kind) for f, kind in fields])


def _wider(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    if a == b or pa.null() in (a, b):
        return b if a == pa.null() else a
    return pa.float64() if {a, b} == {pa.int64(), pa.float64()} else pa.string()


def fitted(part: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table cast to a wider schema; columns that it lacks are null."""
    columns = [
        part.column(f.name).cast(f.type) if f.name in part.column_names else pa.nulls(part.num_rows, f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _with_refusals(part: pa.Table, refused: Mapping[str, tuple[str, str]]) -> pa.Table:
    """The rows with the run's own refusals written in."""
    if refused.keys().isdisjoint(part.column("file_name").to_pylist()):
        return part
    rows = part.to_pylist()
    for row in rows:
        if row["file_name"] in refused:
            row["file_name"], row["reason"] = refused[row["file_name"]]
            row["kept"] = False
    return fitted(table(rows), part.schema)


def read(store: Folder, name: str = KEPT) -> pa.Table:
    """A table of a run: `metadata.parquet`, `rejected.parquet`, or a shard's."""
    return RunFolder(store).table(name)


def schema_of(store: Folder, name: str = KEPT) -> pa.Schema:
    """The columns of such a table and their types; no row is read."""
    with RunFolder(store).parquet(name) as table:
        return table.schema_arrow
