"""Python pickles that may hold arrays, texts, numbers and plain containers, and nothing else: no code is ever run."""

from __future__ import annotations

import io
import pickle
from typing import Any

from imaginate.errors import MisreadError

_ALLOWED = frozenset({
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
})  # fmt: skip


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise MisreadError(f"the pickle asks for {module}.{name}: only arrays and plain containers are read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def unpickled(data: bytes) -> Any:
    """What a pickle holds; texts of Python 2 as latin-1. MisreadError for anything but arrays and plain containers."""
    found = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    if not isinstance(found, dict):
        raise MisreadError("the pickle holds no dictionary")
    return found
