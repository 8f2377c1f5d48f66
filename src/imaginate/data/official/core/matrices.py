"""Files of MATLAB, read by scipy, which is an extra."""

from __future__ import annotations

import io
from typing import Any

from imaginate.data.official.core.tree import Tree, read
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError


def matrix(data: bytes, name: str) -> dict[str, Any]:
    """The variables of a .mat file, without dimensions of 1. DataError without scipy."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"{name} is a MATLAB file: pip install 'imaginate[official]' reads it") from None
    found: dict[str, Any] = loadmat(io.BytesIO(data), squeeze_me=True)
    return found


def mat(tree: Tree, name: str) -> dict[str, Any]:
    """The variables of a .mat file of a tree."""
    return matrix(read(tree, name), name)


def labels_of(tree: Tree, name: str, key: str) -> list[int]:
    """The numbers of one variable; the others are not unpacked."""
    source = tree.source(name)
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(f"{name} is a MATLAB file: pip install 'imaginate[official]' reads it") from None
    file = source.path if isinstance(source, FileSource) else io.BytesIO(source.read())
    return [int(value) for value in loadmat(file, variable_names=[key])[key].reshape(-1)]
