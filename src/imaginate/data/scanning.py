"""The files below a folder or URL, each with the reason why it cannot be an image, without reading it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from imaginate.data import layout
from imaginate.data.decoding import has_image_suffix, why_not
from imaginate.data.known_formats import HEAD
from imaginate.data.reading import why
from imaginate.data.urls import files_below, is_url


def scan(root: str) -> Iterator[tuple[str, str, str]]:
    """(relative path, full path, reason to skip or "") of every file below a folder. Links are followed, loops not."""
    pending: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(root, "", frozenset([_identity(root)]))]
    while pending:
        folder, rel, above = pending.pop()
        for entry in _entries(folder):
            if isinstance(entry, OSError):
                yield rel or ".", folder, why(entry)
                continue
            name = rel + entry.name
            try:
                status = entry.stat()
            except OSError as error:
                yield name, entry.path, "broken link" if isinstance(error, FileNotFoundError) else why(error)
                continue
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_size
                and entry.name[0] != "."
                and has_image_suffix(entry.name)
            ):
                yield name, entry.path, ""
            elif not stat.S_ISDIR(status.st_mode):
                if not (rel == "" and layout.is_own_file(entry.name)):
                    yield name, entry.path, _reason(entry.name, entry.path, status)
            elif layout.is_system_folder(entry.name):
                yield name + "/", entry.path, "system folder"
            elif (status.st_dev, status.st_ino) in above:
                yield name + "/", entry.path, "link loop"
            else:
                pending.append((entry.path, name + "/", above | {(status.st_dev, status.st_ino)}))


def _entries(folder: str) -> Iterator[os.DirEntry[str] | OSError]:
    """What is directly in a folder, a few at a time; last, where it cannot be read to its end, why."""
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError as error:
        yield error


def scan_url(root: str) -> Iterator[tuple[str, str, str]]:
    """The same of everything below a URL."""
    for name, full, size in files_below(root):
        parts = name.split("/")
        if any(layout.is_system_folder(part) for part in parts[:-1]):
            yield name, full, "system folder"
        elif layout.is_system_file(parts[-1]):
            yield name, full, "system file"
        elif len(parts) > 1 or not layout.is_own_file(name):
            yield name, full, "empty file" if size == 0 else "" if has_image_suffix(name) else "not an image"


def file_reason(path: str) -> str:
    """Why the file at a path cannot be an image, without reading it; "" where it may be one, or is remote."""
    if is_url(path):
        return ""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return why(error) if isinstance(error, OSError) else "missing file"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    return "empty file" if status.st_size == 0 else ""


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _reason(name: str, path: str, status: os.stat_result) -> str:
    if layout.is_system_file(name):
        return "system file"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size == 0:
        return "empty file"
    return "" if has_image_suffix(name) else _sniff(path)


def _sniff(path: str) -> str:
    """The first bytes decide where the name does not promise an image."""
    try:
        with open(path, "rb") as file:
            return why_not(file.read(HEAD), path)
    except OSError as error:
        return why(error)
