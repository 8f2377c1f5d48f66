"""Random access into compressed streams, so that a `.tar.gz` or a packed npz array is read where it is.

A deflate stream can only be read from its start, but the state of the decompressor can be copied: a copy every few
MiB makes any place reachable in a few milliseconds, for 40 KiB a copy. bzip2 and xz know no such copies: going back
there means starting anew.
"""

from __future__ import annotations

import bz2
import lzma
import os
import threading
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any, Literal

from imaginate.data.reading import MAX_BYTES, why
from imaginate.data.urls import is_url, open_binary
from imaginate.errors import ImageError

Packing = Literal["gz", "deflate", "bz2", "xz"]
CHUNK = 64 * 2**10
MAX_POINTS = 1024
_WBITS = {"gz": 31, "deflate": -15}


def unpacked(path: str, packing: Packing, start: int, offset: int, size: int) -> bytes:
    """`size` bytes from `offset` of the unpacked content; fewer where it ends. Raises ImageError."""
    if size > MAX_BYTES:
        raise ImageError("file too large")
    try:
        if packing in _WBITS:
            return _inflated(path, packing, start, stamp(path)).read(offset, size)
        return _reopened(path, packing, stamp(path), os.getpid()).read(offset, size)
    except (zlib.error, lzma.LZMAError, EOFError):
        raise ImageError("damaged archive") from None
    except OSError as error:
        raise ImageError(why(error)) from None


def stamp(path: str) -> tuple[int, int]:
    """Changes when the file does; part of the key of every cache."""
    if is_url(path):
        return 0, 0
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True, slots=True)
class _Point:
    """A place in the stream: bytes out, position in the file, and the decompressor there."""

    out: int
    at: int
    state: Any


class Inflated:
    """The unpacked content of a deflate or gzip stream (several gzip members count as one)."""

    def __init__(self, path: str, packing: str, start: int, spacing: int = 2**20) -> None:
        self._path = path
        self._wbits = _WBITS[packing]
        self._spacing = spacing
        self._points = [_Point(0, start, zlib.decompressobj(self._wbits))]
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; fewer where the stream ends."""
        pieces: list[bytes] = []
        with self._lock, open_binary(self._path) as file:
            point = self._points[bisect_right(self._points, offset, key=lambda p: p.out) - 1]
            point = _Point(point.out, point.at, point.state.copy())
            while point.out < offset + size:
                piece, after = self._step(file, point)
                pieces.append(piece[max(0, offset - point.out) : max(0, offset + size - point.out)])
                if after is None:
                    break
                point = after
                self._remember(point)
        return b"".join(pieces)

    def _step(self, file: IO[bytes], point: _Point) -> tuple[bytes, _Point | None]:
        """One chunk further: what came out, and where that leads (None at the end)."""
        file.seek(point.at)
        packed = file.read(CHUNK)
        if not packed:
            return b"", None
        piece = point.state.decompress(packed)
        at = point.at + len(packed) - len(point.state.unused_data)
        if not point.state.eof:
            return piece, _Point(point.out + len(piece), at, point.state)
        file.seek(at)
        if self._wbits != 31 or file.read(2) != b"\x1f\x8b":
            return piece, None
        return piece, _Point(point.out + len(piece), at, zlib.decompressobj(self._wbits))

    def _remember(self, point: _Point) -> None:
        if point.out - self._points[-1].out < self._spacing:
            return
        self._points.append(_Point(point.out, point.at, point.state.copy()))
        if len(self._points) > MAX_POINTS:
            self._points = self._points[::2]
            self._spacing *= 2


class _Reopened:
    """bzip2 and xz: one open file, which starts anew when it must go back."""

    def __init__(self, path: str, packing: str) -> None:
        self._file: Any = bz2.BZ2File(path) if packing == "bz2" else lzma.LZMAFile(path)  # noqa: SIM115
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return bytes(self._file.read(size))


@lru_cache(maxsize=16)
def _inflated(path: str, packing: str, start: int, stamp: tuple[int, int]) -> Inflated:
    return Inflated(path, packing, start)


@lru_cache(maxsize=4)
def _reopened(path: str, packing: str, stamp: tuple[int, int], pid: int) -> _Reopened:
    return _Reopened(path, packing)
