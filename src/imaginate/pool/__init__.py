"""Retrieval pool: embed, index, search. The pool that RET's finding needs, over images that the user indexes.

build_pool(path, sources, guide)     embed and index, resumable
open_pool(path or address)           the pool role: search(embeddings, limit), image(row), vectors(ids)
"""

from __future__ import annotations

from imaginate.pool.build import Tally, build_pool
from imaginate.pool.http import HttpPool
from imaginate.pool.lance import LancePool
from imaginate.pool.settings import Building

__all__ = ["Building", "HttpPool", "LancePool", "Tally", "build_pool", "open_pool"]


def open_pool(path: str) -> LancePool | HttpPool:
    """A pool written by `imaginate pool build` (folder or object store), or the address of a clip-retrieval backend.

    Raises RunError for a pool that is missing, damaged or foreign.
    """
    return HttpPool(path) if path.startswith(("http://", "https://")) else LancePool(path)
