"""Arrays of an npz, read where they are: mapped, in memory, or unpacked piece by piece where they are large.

Pickled objects are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np

from imaginate.data.unpacked import stamp, unpacked
from imaginate.errors import ImageError

ARRAY_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class PackedArray:
    """A large packed array, of which one image at a time is unpacked."""

    path: str
    start: int
    before: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, index: int) -> Any:
        size = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        data = unpacked(self.path, "deflate", self.start, self.before + index * size, size)
        if len(data) < size:
            raise ImageError("damaged npz")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])


def array(path: str, key: str) -> Any:
    """An array of an npz: mapped where it is stored as it is, in memory where it is small, else unpacked in pieces."""
    try:
        return _array(path, key, stamp(path))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        raise ImageError("damaged npz") from None


@lru_cache(maxsize=8)
def _array(path: str, key: str, stamp: tuple[int, int]) -> Any:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(key + ".npy")
        with archive.open(info) as member:
            shape, fortran, dtype = header(member)
            before = member.tell()
    start = _data_start(path, info)
    if info.compress_type == zipfile.ZIP_STORED and not fortran:
        return np.memmap(path, dtype, "r", start + before, shape)
    if info.file_size > ARRAY_BYTES and info.compress_type == zipfile.ZIP_DEFLATED and not fortran:
        return PackedArray(path, start, before, shape, dtype)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[key]


def _data_start(path: str, info: zipfile.ZipInfo) -> int:
    """Where a member's data begin: after its local header, whose length the directory does not say."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran order, and number type of an array in an npz, from its first bytes."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(member)
    return shape, fortran, dtype
