"""Retrieval pool: embed, index, search. The pool that RET's finding needs, over images that the user indexes.

build_pool(path, sources, guide)     embed and index, resumable
open_pool(path or address)           the pool role: search(embeddings, limit), image(row), vectors(ids)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imaginate.pool.build import Tally, build_pool
    from imaginate.pool.http import HttpPool
    from imaginate.pool.lance import LancePool
    from imaginate.pool.settings import Building

__all__ = ["Building", "HttpPool", "LancePool", "Tally", "build_pool", "open_pool"]
_HOMES = {"Building": "settings", "Tally": "build", "build_pool": "build", "HttpPool": "http", "LancePool": "lance"}


def open_pool(path: str) -> LancePool | HttpPool:
    """A pool written by `imaginate pool build` (folder or object store), or the address of a clip-retrieval backend.

    Raises RunError for a pool that is missing, damaged or foreign.
    """
    if path.startswith(("http://", "https://")):
        from imaginate.pool.http import HttpPool

        return HttpPool(path)
    from imaginate.pool.lance import LancePool

    return LancePool(path)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"imaginate.pool.{_HOMES[name]}"), name)
