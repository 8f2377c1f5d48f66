"""The files of a place by their relative paths, none of them read: a folder, an archive, or archives in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from imaginate.data import layout
from imaginate.data.decoding import has_image_suffix
from imaginate.data.listing import printable
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError
from imaginate.records import ImageSource


class Tree(Protocol):
    """Files and folders below a root. Names have forward slashes; `""` is the root itself."""

    @property
    def path(self) -> str:
        """Where the root is, for messages."""
        ...

    def names(self, folder: str = "") -> frozenset[str]:
        """What is directly in a folder, without what file managers leave; nothing where there is no such folder."""
        ...

    def folders(self, folder: str = "") -> frozenset[str]:
        """Those of the names that are folders."""
        ...

    def files(self, folder: str = "") -> list[str]:
        """Every file below a folder, by its name from the root, sorted."""
        ...

    def has(self, name: str) -> bool:
        """Whether this file is there."""
        ...

    def source(self, name: str) -> ImageSource:
        """The file."""
        ...

    def id(self, name: str) -> str:
        """The file's name from the place that was given."""
        ...

    def at(self, folder: str) -> Tree:
        """The tree of a folder."""
        ...


class FolderTree:
    """A folder on a disk."""

    def __init__(self, root: str, prefix: str = "") -> None:
        self._root, self._prefix = root, prefix
        self._names: dict[str, frozenset[str]] = {}
        self._folders: dict[str, frozenset[str]] = {}

    @property
    def path(self) -> str:
        """The folder."""
        return self._root

    def names(self, folder: str = "") -> frozenset[str]:
        """Listed once."""
        if folder not in self._names:
            self._names[folder] = self._listed(folder, lambda entry: True)
        return self._names[folder]

    def folders(self, folder: str = "") -> frozenset[str]:
        """Listed once, without the names of files: many layouts ask, and a folder may hold a million of them."""
        if folder not in self._folders:
            self._folders[folder] = self._listed(folder, os.DirEntry.is_dir)
        return self._folders[folder]

    def _listed(self, folder: str, is_meant: Callable[[os.DirEntry[str]], bool]) -> frozenset[str]:
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                return frozenset(e.name for e in entries if is_meant(e) and not layout.is_system(e.name))
        except OSError:
            return frozenset()

    def files(self, folder: str = "") -> list[str]:
        """Links are followed, loops not."""
        found: list[str] = []
        seen: set[str] = set()
        for at, folders, files in os.walk(os.path.join(self._root, folder), followlinks=True):
            real = os.path.realpath(at)
            folders[:] = [] if real in seen else sorted(name for name in folders if not layout.is_system_folder(name))
            if real not in seen:
                rel = os.path.relpath(at, self._root).replace(os.sep, "/")
                found += [name if rel == "." else f"{rel}/{name}" for name in files if not layout.is_system_file(name)]
            seen.add(real)
        return sorted(found)

    def has(self, name: str) -> bool:
        """A file, not a folder."""
        return os.path.isfile(os.path.join(self._root, name))

    def source(self, name: str) -> ImageSource:
        """The file's path."""
        return FileSource(os.path.join(self._root, name))

    def id(self, name: str) -> str:
        """Printable, with the wrapper folders in front."""
        return printable(self._prefix + name)

    def at(self, folder: str) -> Tree:
        """The folder below."""
        return FolderTree(os.path.join(self._root, folder), f"{self._prefix}{folder}/")


class ListedTree:
    """Files that were listed before: members of archives, and what is next to these."""

    def __init__(self, path: str, files: Mapping[str, ImageSource], prefix: str = "") -> None:
        self._path, self._prefix = path, prefix
        self._files = {name: source for name, source in files.items() if not layout.is_system(name.rsplit("/", 1)[-1])}
        self._inside: dict[str, set[str]] = {}
        for name in self._files:
            parts = name.split("/")
            for depth, part in enumerate(parts):
                self._inside.setdefault("/".join(parts[:depth]), set()).add(part)

    @property
    def path(self) -> str:
        """The archive, or the folder of the archives."""
        return self._path

    def names(self, folder: str = "") -> frozenset[str]:
        """From the list."""
        return frozenset(self._inside.get(folder, ()))

    def folders(self, folder: str = "") -> frozenset[str]:
        """Names that others begin with."""
        start = f"{folder}/" if folder else ""
        return frozenset(name for name in self._inside.get(folder, ()) if start + name in self._inside)

    def files(self, folder: str = "") -> list[str]:
        """From the list."""
        return sorted(name for name in self._files if not folder or name.startswith(folder + "/"))

    def has(self, name: str) -> bool:
        """From the list."""
        return name in self._files

    def source(self, name: str) -> ImageSource:
        """The member."""
        return self._files[name]

    def id(self, name: str) -> str:
        """With the wrapper folders in front."""
        return printable(self._prefix + name)

    def at(self, folder: str) -> Tree:
        """The files below, by shorter names."""
        start = folder + "/"
        inside = {name[len(start) :]: source for name, source in self._files.items() if name.startswith(start)}
        return ListedTree(self._path, inside, self._prefix + start)


def read(tree: Tree, name: str) -> bytes:
    """The bytes of a small file of labels. DataError where it is not there."""
    if not tree.has(name):
        raise DataError(f"{tree.path} has no {name}, which holds its labels or splits")
    return tree.source(name).read()


def lines(tree: Tree, name: str) -> list[str]:
    """The lines of a text file that are not blank."""
    text = read(tree, name).decode("utf-8-sig", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def pictures(tree: Tree, folder: str) -> list[str]:
    """The files below a folder whose names promise a picture."""
    return [name for name in tree.files(folder) if has_image_suffix(name)]


def folders(tree: Tree, folder: str = "") -> list[str]:
    """The folders directly in a folder, sorted by code point."""
    return sorted(tree.folders(folder))


def is_called(tree: Tree, *names: str) -> bool:
    """Whether the folder or archive of the tree has one of these names, whatever is between their words."""
    own = os.path.basename(tree.id("").rstrip("/") or os.path.abspath(tree.path))
    return _letters(own.split(".")[0]) in map(_letters, names)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def first(tree: Tree, names: Iterable[str]) -> str | None:
    """The first of these files that is there."""
    return next((name for name in names if tree.has(name)), None)
