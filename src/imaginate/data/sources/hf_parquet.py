"""One row of a parquet file with images in it."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.data.arrow import cell_bytes
from imaginate.data.reading import why
from imaginate.data.unpacked import stamp
from imaginate.errors import ImageError

if TYPE_CHECKING:
    import pyarrow as pa

CACHE_BYTES = 256 * 2**20
HEAD_ROWS = 16


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """One row of a parquet file. Row groups stay in a cache of `CACHE_BYTES` per process, at least one of them."""

    is_whole_file: ClassVar[bool] = False

    path: str
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The row's bytes, or those of the file that the row names."""
        return cell_bytes(_cache.get(self.path, self.group, self.row, self.column).as_py(), self.path)


class _Cache:
    """Image columns of the row groups used last, newest last; emptied in a forked child. The first rows of a group
    are read without the rest, so that the first images of a file do not cost a row group of memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._held: OrderedDict[tuple[str, tuple[int, int], int, str, bool], pa.ChunkedArray] = OrderedDict()

    def get(self, path: str, group: int, row: int, column: str) -> pa.Scalar:
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


def _read_group(path: str, group: int, column: str) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            return file.read_row_group(group, columns=[column], use_threads=False).column(0)
    except (OSError, pa.ArrowException):
        raise ImageError("damaged parquet") from None


def _read_head(path: str, group: int, column: str) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            batches = file.iter_batches(HEAD_ROWS, row_groups=[group], columns=[column], use_threads=False)
            return next(batches).column(0)
    except (OSError, pa.ArrowException):
        raise ImageError("damaged parquet") from None
