"""Datasets behind a URL (`s3://`, `https://`, `memory://`, ...): image folders, zips, tars and manifests, by fsspec.

A read fetches the bytes of one image; nothing is copied to the disk. Formats that need a local file say so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from imaginate.data.addresses import PRIVATE, is_refused
from imaginate.data.redirects import failures, redirects
from imaginate.errors import DataError, ImageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Protocols that read the bytes of a place, and do nothing else with what a path says.
ALLOWED = frozenset({"file", "http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf"})
OF_DATASETS = ALLOWED | {"memory"}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")  # as the hub calls a dataset
NOT_ALLOWED = "protocol not allowed"
_IPV6 = re.compile(r"://\[[0-9A-Fa-f:.]*\]")  # has `::` without being a chain


def refusal(url: str, folder: str) -> str:
    """Why an image that a table names by a URL is not read; "" where it may be. `folder`: that of the table. Nothing is
    opened for it."""
    protocol = url.split("://", 1)[0].lower()
    of_table = {folder.split("://", 1)[0]} if is_url(folder) else set()
    if "::" in _IPV6.sub("", url) or protocol not in ALLOWED | of_table:
        return NOT_ALLOWED
    if protocol != "file":
        return PRIVATE if is_refused(url, folder) else ""
    if is_url(folder) and not folder.startswith("file:"):
        return NOT_ALLOWED
    place = os.path.realpath(url.split("://", 1)[1])
    inside = os.path.realpath(folder.split("://", 1)[-1]).rstrip(os.sep) + os.sep
    return "" if place.startswith(inside) else "outside the folder of the table"


def check_dataset(url: str) -> None:
    """DataError for the URL of a dataset that does more than to name a place whose bytes are read."""
    protocol = url.split("://", 1)[0].lower()
    if "::" in _IPV6.sub("", url) or (protocol not in OF_DATASETS and _is_known(protocol)):
        allowed = ", ".join(sorted(ALLOWED))
        raise DataError(f"cannot read {url}: {NOT_ALLOWED}; one of {allowed} without `::` is")


def _is_known(protocol: str) -> bool:
    from fsspec.registry import known_implementations

    return protocol in known_implementations


def is_url(path: str) -> bool:
    """Whether a path names a file system of its own."""
    return "://" in path


def real_place(path: str) -> str:
    """Where something is, spelled in one way: the real path of what is local, a URL as it is."""
    return path if is_url(path) else os.path.realpath(os.path.expanduser(path))


def fetch(url: str, offset: int, size: int) -> bytes:
    """`size` bytes of a remote file from `offset`; fewer means that the file ends. Raises ImageError."""
    try:
        system, path = _system(url)
        return bytes(system.cat_file(path, start=offset, end=offset + size))
    except FileNotFoundError:
        raise ImageError("missing file") from None
    except PermissionError:
        raise ImageError("permission denied") from None
    except failures(url):
        raise ImageError("unreadable") from None


@contextmanager
def open_binary(path: str) -> Iterator[IO[bytes]]:
    """A local or remote file, opened for reading; OSError where it cannot be."""
    if not is_url(path):
        with open(path, "rb") as file:
            yield file
        return
    system, inner = _checked(path)
    with system.open(inner, "rb") as file:
        yield file


def is_folder(url: str) -> bool:
    """Whether there is something below a URL."""
    system, path = _checked(url)
    try:
        return bool(system.isdir(path))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {url}: {error}") from None


def names_of_run(url: str) -> frozenset[str]:
    """What is directly below a URL, where that is a run's folder; else nothing, since a listing may be long."""
    system, path = _checked(url)
    try:
        if not system.exists(f"{path.rstrip('/')}/recipe.yaml"):
            return frozenset()
        return frozenset(str(name).rstrip("/").rsplit("/", 1)[-1] for name in system.ls(path, detail=False))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {url}: {error}") from None


def files_below(url: str) -> Iterator[tuple[str, str, int | None]]:
    """(relative path, URL, size if known) of every file below a URL."""
    system, path = _checked(url)
    root = path.rstrip("/") + "/"
    for inner, info in system.find(path, detail=True).items():
        yield inner.removeprefix(root), system.unstrip_protocol(inner), info.get("size")


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    system, path = fsspec.core.url_to_fs(url, **redirects(url))
    return system, str(path)


def _checked(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        return _system(url)
    except (ImportError, ValueError) as error:
        raise DataError(f"cannot read {url}: {error}") from None


def hub_hint(path: str) -> str:
    """How a dataset of the hub is named, for a path that is nowhere and is written like one; else nothing."""
    if not _HUB_NAME.fullmatch(path):
        return ""
    return f"; a dataset of the Hugging Face hub is written hf://datasets/{path}"
