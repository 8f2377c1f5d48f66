"""The tables of a run: their row groups."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imaginate.write import tables

SCHEMA = pa.schema([("name", pa.string()), ("label", pa.int64())])


def rows(count: int) -> pa.Table:
    return pa.table({"name": [f"{n:05d}.png" for n in range(count)], "label": range(count)}, schema=SCHEMA)


def written(all_rows: pa.Table, piece: int) -> bytes:
    file = io.BytesIO()
    with tables.writer(file, SCHEMA) as writer:
        for start in range(0, all_rows.num_rows, piece):
            writer.write(all_rows.slice(start, piece))
    assert writer.count == all_rows.num_rows
    return file.getvalue()


@pytest.mark.parametrize("count", [0, 1, tables.GROUP, tables.GROUP + 1, 3 * tables.GROUP - 1])
def test_the_bytes_and_groups_of_a_table_do_not_depend_on_its_pieces(count: int) -> None:
    """A shard is a few rows: a row group each would take 27 kB of memory for every one of them."""
    made = rows(count)
    all_at_once = written(made, max(1, count))
    for piece in (7, 1000, tables.GROUP - 1, tables.GROUP + 5):
        assert written(made, piece) == all_at_once
    file = pq.ParquetFile(io.BytesIO(all_at_once))
    assert file.num_row_groups == -(-count // tables.GROUP)
    assert file.read().equals(made)
