"""A value of an LMDB database: an encoded picture under a key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from imaginate.errors import DataError, ImageError


@dataclass(frozen=True, slots=True)
class LmdbValue:
    """The value of a key, in the database of a folder."""

    is_whole_file: ClassVar[bool] = False

    path: str
    key: bytes

    def read(self) -> bytes:
        """The value's bytes."""
        with _database(self.path, os.getpid()).begin() as transaction:
            found = transaction.get(self.key)
        if found is None:
            raise ImageError("missing file")
        return bytes(found)


def keys(path: str) -> list[bytes]:
    """The keys of a database, in order. DataError where it cannot be read."""
    with _database(path, os.getpid()).begin() as transaction:
        return [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]


@lru_cache(maxsize=32)
def _database(path: str, process: int) -> Any:
    """Opened once a process, for reading alone."""
    try:
        import lmdb
    except ImportError:
        raise DataError("its files are LMDB databases: pip install lmdb reads them") from None
    try:
        return lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False, max_readers=1)
    except lmdb.Error as error:
        raise DataError(f"{path} is damaged: {error}") from None
