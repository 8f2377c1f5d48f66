"""The output folder before a run begins: what is refused while nothing has been written."""

from __future__ import annotations

import os
import shutil

from imaginate.data.urls import is_url
from imaginate.errors import RunError
from imaginate.files import RECIPE, RUN, Folder
from imaginate.ownership import check_free, contents


def refuse(store: Folder, datasets: list[str]) -> None:
    """RunError where nothing may be written: the folder meets a dataset, is somebody else's, or is written just now."""
    for path in datasets:
        _refuse_overlap(store, path)
    _refuse_foreign(store)
    check_free(store)


def forget(store: Folder) -> None:
    """Take away what a run that has never made anything wrote into a folder of its own. What was learnt (cache/), and
    whatever else is there, stays with it."""
    if set(contents(store)) <= {RECIPE, RUN, "shards"}:
        shutil.rmtree(store.root, ignore_errors=True)


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
    others = contents(store)
    if others:
        raise RunError(f"{store.root} is not empty and is not a run (it has {others[0]}); choose a new or empty folder")
