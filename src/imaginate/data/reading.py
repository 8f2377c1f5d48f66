"""Reads bytes of local and remote files; a failure becomes a short reason."""

from __future__ import annotations

import errno
import os

from imaginate.data.urls import fetch, is_url
from imaginate.errors import ImageError

MAX_BYTES = 256 * 2**20


def why(error: OSError) -> str:
    """The short reason of a failed read."""
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "missing file"
    if error.errno == errno.ELOOP:
        return "link loop"
    return "unreadable"


def read_span(path: str, offset: int, size: int) -> bytes:
    """`size` bytes of a file from `offset`; fewer means that the file ends."""
    if size > MAX_BYTES:
        raise ImageError("file too large")
    if is_url(path):
        return fetch(path, offset, size)
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            left = os.fstat(file).st_size - offset
            size = min(size, left) if left > 0 else size  # memory is taken for as much as is asked for
            data = os.pread(file, size, offset)
            while data and len(data) < size and (more := os.pread(file, size - len(data), offset + len(data))):
                data += more
            return data
        finally:
            os.close(file)
    except OSError as error:
        raise ImageError(why(error)) from None


def read_file(path: str) -> bytes:
    """All bytes of a file that is smaller than `MAX_BYTES`."""
    data = read_span(path, 0, MAX_BYTES)
    if len(data) == MAX_BYTES:
        raise ImageError("file too large")
    return data
