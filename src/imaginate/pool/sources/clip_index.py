"""An existing clip-retrieval folder becomes a pool without embedding anything again.

    img_emb/img_emb_0.npy + metadata/metadata_0.parquet     what `clip-retrieval inference` writes
    image.index           + metadata/metadata_*.parquet     what `clip-retrieval index` makes of it (a faiss index)

Vectors are taken from the `.npy` files where there are any, else reconstructed from the index (exactly for a flat one,
as well as its compression allows for others). Images stay where they are: rows refer to `url` or `image_path`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError
from imaginate.pool import fields, refs
from imaginate.pool.units import KEYS, Item, Unit, base_name, file_stamp
from imaginate.records import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROWS = 4096


class ClipIndex:
    """A clip-retrieval folder, one unit a metadata file; its vectors are taken as they are."""

    priority: ClassVar[int] = 10
    has_splits: ClassVar[bool] = False

    def recognises(self, place: Place) -> bool:
        """By the files that clip-retrieval writes."""
        return not place.names.isdisjoint({"img_emb", "image.index"}) and bool(_metadata(place.path))

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """In the order of the metadata files; there are no splits."""
        path, tables = place.path, _metadata(place.path)
        arrays = sorted(glob.glob(f"{glob.escape(path)}/img_emb/*.npy"))
        if arrays and len(arrays) != len(tables):
            raise DataError(f"{path} is damaged: {len(arrays)} files of embeddings, {len(tables)} of metadata")
        start = 0
        for number, table in enumerate(tables):
            name = f"{base_name(path)}/{os.path.basename(table)}"
            vectors = arrays[number] if arrays else f"{path}/image.index"
            yield Unit(name, file_stamp(table), partial(_items, path, name, table, vectors, start))
            start += _count(table)


def _items(path: str, name: str, table: str, place: str, start: int) -> Iterator[Item]:
    import pyarrow.parquet as pq

    vectors = _Array(place) if place.endswith(".npy") else _Index(place, start)
    count = _count(table)
    if len(vectors) < count:
        raise DataError(f"{path} is damaged: {table} has {count} rows, {place} only {len(vectors)} vectors")
    row = 0
    for batch in pq.ParquetFile(table, pre_buffer=False).iter_batches(ROWS, use_threads=False):
        part = vectors.rows(row, row + batch.num_rows)
        for values, vector in zip(batch.to_pylist(), part, strict=True):
            yield _item(f"{name}/{row}", values, vector)
            row += 1


def _item(name: str, values: dict[str, Any], vector: NDArray[np.float32]) -> Item:
    known = fields.facts(values)
    local = values.get("image_path")
    if local and os.path.isfile(local):  # most addresses are dead after a few years
        source = fields.as_taken(FileSource(os.path.abspath(local)), values)
        return Item(name=name, source=source, ref=refs.encoded(source), facts=known, vector=vector)
    if known["url"]:
        return Item(name=name, ref=str(known["url"]), facts=known, vector=vector)
    return Item(name=name, bad=_why(str(local)) if local else "no url")


def _why(local: str) -> str:
    """Why there is nothing at an `image_path`: over tars, clip-retrieval writes the keys of their members there."""
    return "source disappeared" if "/" in local or "\\" in local or "." in local else KEYS


class _Array:
    """Rows of a .npy file, mapped, never loaded as a whole."""

    def __init__(self, path: str) -> None:
        import numpy as np

        self._rows = np.load(path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return int(self._rows.shape[0])

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, dim) float32."""
        import numpy as np

        return np.asarray(self._rows[start:stop], dtype=np.float32)


class _Index:
    """Vectors of a faiss index from `offset` on, mapped where its kind allows."""

    def __init__(self, path: str, offset: int) -> None:
        try:
            import faiss
        except ImportError:
            raise DataError(f"{path} needs faiss to be read: pip install faiss-cpu") from None
        self._offset = offset
        self._index = faiss.read_index(path, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        lists = faiss.try_extract_index_ivf(self._index)
        if lists is not None:  # an inverted file finds its vectors by list, not by number
            lists.make_direct_map()

    def __len__(self) -> int:
        return int(self._index.ntotal) - self._offset

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, dim) float32."""
        vectors: NDArray[np.float32] = self._index.reconstruct_n(self._offset + start, stop - start)
        return vectors


def _metadata(path: str) -> list[str]:
    return sorted(glob.glob(f"{glob.escape(path)}/metadata/*.parquet"))


def _count(table: str) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)
