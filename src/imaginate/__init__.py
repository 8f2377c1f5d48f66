"""Expand a small labelled image dataset, and prove on held-out images what the new images are worth.

import imaginate
run = imaginate.expand("flowers/", "flowers-x5/", method="randaugment", copies=5)
print(run)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imaginate.version import __version__

__all__ = ["DataSpec", "Dataset", "Run", "__version__", "expand", "load", "open_dataset", "recipe_from"]

if TYPE_CHECKING:
    from imaginate.data import Dataset, DataSpec, load, open_dataset
    from imaginate.engine.resolve import recipe_from
    from imaginate.engine.run import Run, expand

_HOMES = {
    "DataSpec": "imaginate.data",
    "Dataset": "imaginate.data",
    "load": "imaginate.data",
    "open_dataset": "imaginate.data",
    "Run": "imaginate.engine.run",
    "expand": "imaginate.engine.run",
    "recipe_from": "imaginate.engine.resolve",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'imaginate' has no attribute {name!r}")
