"""HF-style parquet: an `image` column (struct of bytes and path, or bytes) and a `label`; one file, or a folder of
`<split>.parquet` / `<split>-00000-of-00004.parquet`. Listing reads the label column alone."""

from __future__ import annotations

import glob
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaginate.data import features, splits
from imaginate.data.dataset import Listing, Skipped
from imaginate.data.labelling import Labeller
from imaginate.data.sources import FileSource, why
from imaginate.data.unpacked import stamp
from imaginate.errors import DataError, ImageError
from imaginate.records import Sample

CACHE_BYTES = 256 * 2**20
HEAD_ROWS = 16
_NOTHING: Mapping[str, Any] = {}  # one for all: 64 bytes a sample saved
Choose = Callable[[Iterable[str]], str | None]


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """One row of a parquet file. Row groups stay in a cache of `CACHE_BYTES` per process, at least one of them."""

    path: str
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The row's bytes, or those of the file that the row names."""
        return cell_bytes(_cache.get(self.path, self.group, self.row, self.column).as_py(), self.path)


def cell_bytes(cell: Any, table: str) -> bytes:
    """The bytes in an image cell (bytes, or a struct of bytes and path), or those of the file beside the table."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if data is None and isinstance(cell, dict) and cell.get("path"):
        return FileSource(os.path.join(os.path.dirname(table), cell["path"])).read()
    if not data:
        raise ImageError("empty file")
    return bytes(data)


class _Cache:
    """Image columns of the row groups used last, newest last; emptied in a forked child. The first rows of a group
    are read without the rest, so that a look at a file does not cost a row group of memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._held: OrderedDict[tuple[str, tuple[int, int], int, str, bool], Any] = OrderedDict()

    def get(self, path: str, group: int, row: int, column: str) -> Any:
        """One cell, as an arrow scalar."""
        if self._pid != os.getpid():
            self.__init__()  # type: ignore[misc]
        try:
            at = stamp(path)
        except OSError as error:
            raise ImageError(why(error)) from None
        whole, head = (path, at, group, column, True), (path, at, group, column, False)
        with self._lock:
            key = head if row < HEAD_ROWS and whole not in self._held else whole
            if key not in self._held:
                self._held[key] = (_read_group if key is whole else _read_head)(path, group, column)
                while len(self._held) > 1 and sum(held.nbytes for held in self._held.values()) > CACHE_BYTES:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key][row]


_cache = _Cache()


def _read_group(path: str, group: int, column: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            return file.read_row_group(group, columns=[column], use_threads=False).column(0)
    except (OSError, pa.ArrowException):
        raise ImageError("damaged parquet") from None


def _read_head(path: str, group: int, column: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            batches = file.iter_batches(HEAD_ROWS, row_groups=[group], columns=[column], use_threads=False)
            return next(batches).column(0)
    except (OSError, pa.ArrowException):
        raise ImageError("damaged parquet") from None


def files(path: str) -> list[str]:
    """The parquet files of a folder (also in `data/` and in split folders), or the one file given."""
    if not os.path.isdir(path):
        return [path]
    inner = [name for name in os.listdir(path) if name == "data" or splits.known(name)]
    folders = [path, *(os.path.join(path, name) for name in inner)]
    return sorted(file for folder in folders for file in glob.glob(os.path.join(glob.escape(folder), "*.parquet")))


def read(path: str, choose: Choose) -> Listing:
    """The rows of the chosen split; the label space is that of all splits."""
    found = files(path)
    schemas = {file: schema_of(file) for file in found}
    columns = {file: features.find(schema) for file, schema in schemas.items()}
    unfit = [file for file in found if columns[file] is None]
    if unfit:
        raise DataError(f"{unfit[0]} has no image and label columns; it has {', '.join(schemas[unfit[0]].names)}")
    by_file = {file: split_of(file, path) for file in found}
    there = splits.ordered(split for split in by_file.values() if split)
    wanted = choose(there)
    used = {file: column for file, column in columns.items() if column is not None}
    labeller = Labeller(_one_set_of_names(used))
    if not labeller.fixed:  # bare labels: the classes of every split count
        for file, column in used.items():
            labeller.see(labels_of(file, column.label))
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for file, column in used.items():
        if wanted is None or by_file[file] == wanted:
            stem = os.path.relpath(file, path) if os.path.isdir(path) else os.path.basename(file)
            rows = _rows(file, stem.removesuffix(".parquet"), column, by_file[file], labeller)
            for row in rows:
                samples.append(row) if isinstance(row, Sample) else skipped.append(row)
    return Listing(format="HF parquet", labels=labeller.space, samples=samples, skipped=skipped, splits=there)


def _one_set_of_names(used: Mapping[str, features.Columns]) -> tuple[str, ...] | None:
    """The class names that the files agree on; DataError where they do not."""
    first = next(iter(used))
    for file, column in used.items():
        if column.names != used[first].names:
            raise DataError(f"{file} has other class names than {first}")
    return used[first].names


def split_of(file: str, root: str) -> str | None:
    """The split that a file's name says, else its folder's; a lone file of another name has none."""
    stem = os.path.basename(file).removesuffix(".parquet")
    if os.path.isdir(root):
        return splits.of_file(stem) or splits.known(os.path.basename(os.path.dirname(file)))
    return splits.of_file(stem)


def schema_of(file: str) -> Any:
    """A parquet file's arrow schema; DataError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file} as parquet: {str(error).splitlines()[0]}") from None


def labels_of(file: str, column: str) -> Sequence[Any]:
    """One column as Python values, the rest of the file unread."""
    import pyarrow.parquet as pq

    values: Sequence[Any] = pq.read_table(file, columns=[column], use_threads=False).column(0).to_pylist()
    return values


def _rows(
    file: str, stem: str, column: features.Columns, split: str | None, labeller: Labeller
) -> Iterator[Sample | Skipped]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    places = ((group, row) for group, count in enumerate(groups) for row in range(count))
    for number, ((group, row), value) in enumerate(zip(places, labels_of(file, column.label), strict=True)):
        label = labeller.label(value)
        name = f"{stem}/{number}"
        if isinstance(label, str):
            yield Skipped(name, label, split)
        else:
            source = ParquetSource(file, group, row, column.image)
            yield Sample(id=name, label=label, source=source, split=split, meta=_NOTHING)
