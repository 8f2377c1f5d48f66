"""Examines a path or URL once, so that readers can say whether they recognise it."""

from __future__ import annotations

import os

from imaginate.data import urls
from imaginate.errors import DataError
from imaginate.records import Place

_HEAD = 512


def examine(path: str) -> Place:
    """What is at a path. DataError where that cannot be found out."""
    if urls.is_url(path):
        urls.check_dataset(path)
        return _remote(path)
    try:
        if os.path.isdir(path):
            return Place(path=path, kind="folder", names=frozenset(os.listdir(path)))
        with open(path, "rb") as file:
            return Place(path=path, kind="file", head=file.read(_HEAD))
    except FileNotFoundError:
        return Place(path=path, kind="missing")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def _remote(url: str) -> Place:
    if urls.is_folder(url):
        return Place(path=url, kind="folder", is_remote=True, names=urls.names_of_run(url))
    try:
        with urls.open_binary(url) as file:
            return Place(path=url, kind="file", is_remote=True, head=file.read(_HEAD))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {url}: {error}") from None


def words_for(place: Place) -> str:
    """What a place is that no reader recognises, as a message says it."""
    if place.kind == "folder":
        return "a folder of an unknown layout" if place.names else "an empty folder"
    return "a file of an unknown kind" if place.head else "an empty file"
