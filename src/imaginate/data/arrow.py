"""Small steps over arrow and parquet tables that readers and sources share."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imaginate.data.reading import read_file
from imaginate.data.unpacked import stamp
from imaginate.errors import DataError, ImageError

if TYPE_CHECKING:
    import pyarrow as pa


def cell_bytes(cell: Any, table: str) -> bytes:
    """The bytes in an image cell (bytes, or a struct of bytes and path), or those of the file that it names, whose path
    starts at the table's folder."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if data is None and isinstance(cell, dict) and cell.get("path"):
        return read_file(os.path.join(os.path.dirname(table), cell["path"]))
    if not data:
        raise ImageError("empty file")
    return bytes(data)


def schema_of(file: str) -> pa.Schema:
    """A parquet file's arrow schema; DataError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file} as parquet: {str(error).splitlines()[0]}") from None


def batches(path: str) -> list[pa.RecordBatch]:
    """The record batches of an arrow stream, mapped and not read; mapping survives a fork."""
    return _batches(path, stamp(path))


@lru_cache(maxsize=64)
def _batches(path: str, stamp: tuple[int, int]) -> list[pa.RecordBatch]:
    import pyarrow as pa

    with pa.memory_map(path) as file, pa.ipc.open_stream(file) as reader:
        return list(reader)
