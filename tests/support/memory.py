"""How much memory networks keep: the arrays that were made in a block and are there after it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watch(TorchDispatchMode):
    """Remembers the storage of all that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[StorageWeakRef] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {one.untyped_storage()._cdata for one in _tensors([args, kwargs])}
        fresh = (one.untyped_storage() for one in _tensors(out))
        self.made += [StorageWeakRef(storage) for storage in fresh if storage._cdata not in given]
        return out


def _tensors(found: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(found) if isinstance(one, torch.Tensor)]


def kept_by(call: Callable[[], object]) -> int:
    """How many of the arrays that one of several calls made are there after the next one: those of a first call may be
    kept for good, and what a network remembers of a call is replaced by that of the next."""
    call()
    with _Watch() as watch:
        call()
    assert len(watch.made) > 50
    call()
    if not all(one.expired() for one in watch.made):
        gc.collect()
    return sum(not one.expired() for one in watch.made)
