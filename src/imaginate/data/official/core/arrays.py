"""Files that hold many pictures as one array, read whole: the array is kept while its pictures are asked for."""

from __future__ import annotations

import bz2
import csv
import io
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any, cast

import numpy as np

from imaginate.data.official.core.matrices import matrix
from imaginate.data.official.core.pickles import unpickled
from imaginate.data.sources.file import FileSource
from imaginate.data.unpacked import stamp
from imaginate.errors import DataError, ImageError
from imaginate.records import FileBacked, ImageSource

_BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, DataError, ArithmeticError)


def array(file: ImageSource, form: str) -> Any:
    """(n, h, w) or (n, h, w, 3) uint8. Raises ImageError."""
    try:
        return _array(cast(Hashable, file), form, stamp(file.path) if isinstance(file, FileBacked) else (0, 0))
    except ImageError:
        raise
    except _BROKEN:
        raise ImageError("damaged") from None


@lru_cache(maxsize=6)
def _array(file: ImageSource, form: str, stamp: tuple[int, int]) -> Any:
    if form == "pcam":
        return _pcam(file)
    if form == "svhn" and isinstance(file, FileSource):
        with open(file.path, "rb") as stream:  # one of them is larger than what is read in one piece
            return _svhn(stream.read())
    return FORMS[form](file.read())


def _cifar(data: bytes) -> Any:
    """Rows of 1024 red, 1024 green and 1024 blue values."""
    return np.asarray(unpickled(data)["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _svhn(data: bytes) -> Any:
    """(32, 32, 3, n); one picture has lost its dimension of 1."""
    found = matrix(data, "it")["X"]
    return (found if found.ndim == 4 else found[..., None]).transpose(3, 0, 1, 2)


def usps_rows(data: bytes) -> list[list[str]]:
    """The lines of the libsvm file: the class from 1, then `index:value`."""
    return [line.decode().split() for line in bz2.decompress(data).splitlines() if line.strip()]


def _usps(data: bytes) -> Any:
    """Values of -1 to 1."""
    numbers = [[value.rsplit(":", 1)[-1] for value in row[1:]] for row in usps_rows(data)]
    return ((np.asarray(numbers, np.float32).reshape(-1, 16, 16) + 1) / 2 * 255).astype(np.uint8)


def semeion_rows(data: bytes) -> Any:
    """(n, 266): 256 pixels, and a 1 in the column of the digit."""
    return np.loadtxt(io.BytesIO(data), ndmin=2)


def _semeion(data: bytes) -> Any:
    return (semeion_rows(data)[:, :256] * 255).astype(np.uint8).reshape(-1, 16, 16)


def fer_rows(data: bytes) -> list[dict[str, str]]:
    """The rows of the csv; one of its editions has blanks in front of the names of columns."""
    csv.field_size_limit(2**20)
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), skipinitialspace=True))


def _fer(data: bytes) -> Any:
    rows = [np.array(row["pixels"].split(), np.uint8) for row in fer_rows(data)]
    return np.stack(rows).reshape(-1, 48, 48)


def _pcam(file: ImageSource) -> Any:
    """The array where it is: HDF5 reads one picture at a time."""
    import h5py

    if not isinstance(file, FileSource):
        raise ImageError("is in an archive: unpack it")
    return h5py.File(file.path, "r")["x"]


FORMS: Mapping[str, Callable[[bytes], Any]] = {
    "cifar": _cifar, "svhn": _svhn, "usps": _usps, "semeion": _semeion, "fer2013": _fer,
}  # fmt: skip
