"""The output folder before a run begins: what is refused while nothing has been written, and one writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from imaginate.data.urls import is_url
from imaginate.errors import RunError
from imaginate.files import Folder, explained

RECIPE, LOCK = "recipe.yaml", ".lock"


def refuse(store: Folder, datasets: list[str]) -> None:
    """RunError where nothing may be written: the folder meets a dataset, is somebody else's, or is written just now."""
    for path in datasets:
        _refuse_overlap(store, path)
    _refuse_foreign(store)
    if store.local and os.path.exists(store.path(LOCK)):
        with lock(store):
            pass


def _refuse_overlap(store: Folder, path: str) -> None:
    """What is written inside a dataset would be read as a part of it the next time."""
    if not store.local or is_url(path):
        return
    out, source = os.path.realpath(store.root), os.path.realpath(path)
    if out == source:
        raise RunError(f"{store.root} is the dataset itself; choose another output folder, outside of it")
    if os.path.isdir(source) and _inside(out, source):
        raise RunError(f"{store.root} is inside the dataset {path}; choose an output folder outside of it")
    if _inside(source, out):
        raise RunError(f"{store.root} holds the dataset {path}; choose an output folder that does not")


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _refuse_foreign(store: Folder) -> None:
    if store.exists(RECIPE) or not store.exists(""):
        return
    others = [name for name in store.names() if name != LOCK]
    if others:
        raise RunError(f"{store.root} is not empty and is not a run (it has {others[0]}); choose a new or empty folder")


@contextmanager
def lock(store: Folder) -> Iterator[None]:
    """One process at a time on a local folder; a second one is refused. The lock ends with the process.

    On an object store there is no lock: two processes would do the same work twice, with the same result.
    """
    if not store.local:
        yield
        return
    import fcntl

    with explained(store.root):
        os.makedirs(store.root, exist_ok=True)
        handle = open(store.path(LOCK), "ab")  # noqa: SIM115
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{store.root} is being written by another process; wait for it or use a new folder"
            ) from None
        yield
