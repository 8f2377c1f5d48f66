"""What is computed once in a machine's life: small values by the hash of all that they depend on, in one file of the
user's cache folder, whichever command and dataset they came from.

    IMAGINATE_CACHE=/fast/disk imaginate compare ...     # elsewhere; IMAGINATE_CACHE=off: nowhere

The file is a SQLite database: several processes may use it at once, and a process that is killed leaves it whole. What
was not used for longest goes where the limit is reached. A value that is damaged is computed again, and a file that is
no database is begun again. Where the file cannot be written, nothing is kept, and nothing else changes.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

VARIABLE, OFF = "IMAGINATE_CACHE", "off"
LIMIT = 2 * 10**9  # bytes of the file, until the user says another
_HOUR = 3600  # a value that is used again within it is not marked again
_WAIT = 2.0  # seconds for another process to finish its writing
_SOME = 500  # values in one question
_TABLES = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB, sum INTEGER, used INTEGER);
CREATE INDEX IF NOT EXISTS by_use ON entries (used);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
"""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Usage:
    """What the cache holds. `limit`: the most bytes that its file takes; `path`: None where nothing is kept."""

    path: Path | None
    entries: int
    bytes: int
    limit: int


def home() -> Path:
    """The folder of caches: where IMAGINATE_CACHE says, else where this system keeps them."""
    asked = os.environ.get(VARIABLE, "")
    if asked and asked.lower() != OFF:
        return Path(asked).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "imaginate" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "imaginate"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imaginate"


def folder() -> Path | None:
    """The folder of the values that are kept; None where IMAGINATE_CACHE is off."""
    return None if os.environ.get(VARIABLE, "").lower() == OFF else home()


def cache() -> MachineCache:
    """The cache of this process, where it is now."""
    place = folder()
    with _LOCK:
        known = _OPEN.get(os.getpid())
        if known is None or known.folder != place:
            known = _OPEN[os.getpid()] = MachineCache(place)
        return known


class MachineCache:
    """Keys, which are texts, to bytes. Nothing raises because of it."""

    def __init__(self, place: Path | None) -> None:
        self.folder, self._lock = place, threading.Lock()
        self._file = None if place is None else place / "values.sqlite"
        self._open: sqlite3.Connection | None = None
        self._is_new = True  # a damaged file is begun again once

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The values that are known, and whole."""
        asked, now = list(keys), int(time.time()) // _HOUR

        def read(database: sqlite3.Connection) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for start in range(0, len(asked), _SOME):
                some = asked[start : start + _SOME]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, value, sum, used FROM entries WHERE key IN ({marks})", some)
                old = []
                for key, value, check, used in rows:
                    if isinstance(value, bytes) and zlib.crc32(value) == check:
                        found[key] = value
                        old += [(now, key)] if used < now else []
                if old:
                    database.executemany("UPDATE entries SET used = ? WHERE key = ?", old)
            return found

        return self._do(read, {})

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep these; what was not used for longest makes room."""
        now = int(time.time()) // _HOUR
        rows = [(key, value, zlib.crc32(value), now) for key, value in values.items()]

        def write(database: sqlite3.Connection) -> None:
            limit = _limit(database)
            if limit > 0:
                database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
            _make_room(database, limit)

        self._do(write, None)

    def usage(self) -> Usage:
        """How much is kept."""

        def count(database: sqlite3.Connection) -> Usage:
            (entries,) = database.execute("SELECT COUNT(*) FROM entries").fetchone()
            return Usage(self._file, entries, _size(database), _limit(database))

        return self._do(count, Usage(None, 0, 0, 0))

    def clear(self) -> None:
        """Forget all values; the limit stays."""

        def forget(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM entries")

        self._do(forget, None)
        self._do(_shrink, None)

    def set_limit(self, limit: int) -> None:
        """The most bytes that the file takes from now on; 0 keeps nothing."""

        def keep(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO settings VALUES ('limit', ?)", (limit,))
            _make_room(database, limit)

        self._do(keep, None)
        self._do(_shrink, None)

    def _do(self, work: Callable[[sqlite3.Connection], Found], otherwise: Found) -> Found:
        """`work` on the database as one step; `otherwise` where that is not possible, for the rest of the process."""
        with self._lock:
            if self._file is None:
                return otherwise
            try:
                return self._try(work)
            except sqlite3.OperationalError:  # locked for long, read-only, full
                self._file = None
            except (sqlite3.DatabaseError, OSError):
                if not self._is_new or not self._is_removed():
                    self._file = None
                self._is_new = False
            return otherwise

    def _try(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        assert self._file is not None
        if self._open is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._open = sqlite3.connect(self._file, timeout=_WAIT, check_same_thread=False, isolation_level=None)
            # a kill of the process cannot hurt; after a power failure a damaged file is begun again
            self._open.executescript(
                f"PRAGMA page_size = 1024; PRAGMA auto_vacuum = FULL; PRAGMA synchronous = OFF; {_TABLES}"
            )
        self._open.execute("BEGIN IMMEDIATE" if work is not _shrink else "SELECT 1")
        try:
            found = work(self._open)
            if self._open.in_transaction:
                self._open.execute("COMMIT")
            return found
        except BaseException:
            if self._open.in_transaction:
                self._open.execute("ROLLBACK")
            raise

    def _is_removed(self) -> bool:
        """Remove a file that is no database; whether that was possible."""
        assert self._file is not None
        if self._open is not None:
            self._open.close()
        self._open = None
        try:
            for name in (self._file.name, f"{self._file.name}-journal"):
                self._file.with_name(name).unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _limit(database: sqlite3.Connection) -> int:
    row = database.execute("SELECT value FROM settings WHERE name = 'limit'").fetchone()
    return LIMIT if row is None else int(row[0])


def _size(database: sqlite3.Connection) -> int:
    """Bytes of what is used of the file."""
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _make_room(database: sqlite3.Connection, limit: int) -> None:
    """Forget what was not used for longest, a tenth at a time."""
    while _size(database) > max(limit, 0):
        (entries,) = database.execute("SELECT COUNT(*) FROM entries").fetchone()
        if not entries:
            return
        oldest = "SELECT key FROM entries ORDER BY used, key LIMIT ?"
        database.execute(f"DELETE FROM entries WHERE key IN ({oldest})", (max(1, entries // 10),))


def _shrink(database: sqlite3.Connection) -> None:
    """Give the disk back what is free."""
    with closing(database.execute("VACUUM")):
        pass


_OPEN: dict[int, MachineCache] = {}  # by process: a child of a fork opens the file anew
_LOCK = threading.Lock()
