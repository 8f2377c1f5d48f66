"""Parquet with images in it (Hugging Face style, img2dataset's parquet output), one row group at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from imaginate.data import features
from imaginate.data.redirects import redirects
from imaginate.data.sources.hf_parquet import ParquetSource
from imaginate.errors import DataError
from imaginate.pool import fields, refs
from imaginate.pool.units import Held, Item, Unit, base_name, file_stamp
from imaginate.records import Place

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS = 256  # rows that are in memory at a time, whatever the size of a row group
_STATUS = "status"  # img2dataset: "success", or why the download failed


class Parquet:
    """Rows with image bytes, one unit a row group: a parquet file, or those of a folder that have images."""

    priority: ClassVar[int] = 40
    has_splits: ClassVar[bool] = False

    def recognises(self, place: Place) -> bool:
        """By the ending of the file's name; in a folder, by a column of images."""
        if place.kind == "folder":
            return bool(_tables(place))
        return place.path.lower().endswith(".parquet")

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """File by file, row group by row group; there are no splits."""
        if place.kind == "folder":
            for name in _tables(place):
                yield from _units(os.path.join(place.path, name), f"{base_name(place.path)}/{name}")
        else:
            yield from _units(place.path, os.path.basename(place.path))


def _tables(place: Place) -> list[str]:
    """The names of a folder's parquet files that have a column of images."""
    tables = sorted(name for name in place.names if name.endswith(".parquet"))
    return [name for name in tables if _image_column(_file(os.path.join(place.path, name)).schema_arrow) is not None]


def _units(path: str, name: str) -> Iterator[Unit]:
    """One unit a row group. Raises DataError for a parquet without images."""
    file = _file(path)
    column = _image_column(file.schema_arrow)
    if column is None:
        raise DataError(f"{path} has no column of images; it has {', '.join(file.schema_arrow.names)}")
    stamp = file_stamp(path)
    start = 0
    for group in range(file.metadata.num_row_groups):
        yield Unit(f"{name}#{group}", stamp, partial(_items, path, name, group, column, start))
        start += file.metadata.row_group(group).num_rows


def _items(path: str, name: str, group: int, column: str, start: int) -> Iterator[Item]:
    file = _file(path)
    schema = file.schema_arrow
    struct = features.is_struct(schema.field(column).type)
    label, names = _class_names(schema)
    status = [_STATUS] if _STATUS in schema.names else []
    wanted = dict.fromkeys([column, *fields.columns(schema.names), *([label] if label else []), *status])
    row = 0
    for batch in file.iter_batches(ROWS, row_groups=[group], columns=list(wanted), use_threads=False):
        for values in batch.to_pylist():
            cell = values.pop(column)
            data = (cell or {}).get("bytes") if struct else cell
            if label and values.get(label) is not None and names:
                values.setdefault("caption", names[values[label]])
            place = f"{name}/{start + row}"
            ref = refs.encoded(fields.as_taken(ParquetSource(os.path.abspath(path), group, row, column), values))
            row += 1
            if data:
                yield Item(name=place, source=fields.as_taken(Held(data), values), ref=ref, facts=fields.facts(values))
            else:
                yield Item(name=place, bad=str(values.get(_STATUS) or "no image"))


def _file(path: str) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if "://" in path:
            import fsspec

            return pq.ParquetFile(fsspec.open(path, "rb", **redirects(path)).open(), pre_buffer=False)
        return pq.ParquetFile(path, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as parquet: {str(error).splitlines()[0]}") from None


def _image_column(schema: pa.Schema) -> str | None:
    return features.image_column(schema, features.of_schema(schema))


def _class_names(schema: pa.Schema) -> tuple[str | None, tuple[str, ...] | None]:
    try:
        columns = features.find(schema)
    except DataError:  # several columns of labels: a pool needs none
        columns = None
    return (columns.label, columns.names) if columns is not None else (None, None)
