"""The trees that a place may be read as: the folder, what its only subfolder holds, or its archives as downloaded."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator

from imaginate.data import layout
from imaginate.data.archives import is_zip, skip_reason
from imaginate.data.official.core.tree import FolderTree, ListedTree, Tree, folders
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.nested import NestedSource, whole
from imaginate.data.sources.span import SpanSource
from imaginate.data.tar_headers import DAMAGE, Header, is_tar
from imaginate.data.tar_members import members
from imaginate.data.zip_members import zip_members
from imaginate.errors import DataError, ImageError
from imaginate.records import ImageSource, Place

DEEPEST = 3  # folders that wrap a data set
_IDX = re.compile(r"(.*?)(?:train|test|t10k)-(?:images|labels)-idx\d")
_PACKED_TAR = (".tar.gz", ".tgz")
_TAR = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


def trees(place: Place, archives: Collection[str]) -> Iterator[Tree]:
    """The trees to ask the layouts about, the most probable first. `archives`: the names of those as downloaded."""
    if place.kind == "folder":
        tree: Tree = FolderTree(place.path)
        yield from wrapped(tree)
        packed = sorted(name for name in place.names if name in archives and _is_archive(name))
        if packed:
            yield from wrapped(ListedTree(place.path, _unpacked(place.path, packed, archives)))
        return
    yield ListedTree(os.path.dirname(place.path) or ".", _with_companions(place.path))
    if not (is_zip(place) or _is_tar(place)):
        return
    yield from wrapped(ListedTree(place.path, _members(place.path, archives)))
    folder, name = os.path.split(place.path)
    if name in archives:
        packed = sorted(other for other in os.listdir(folder or ".") if other in archives and _is_archive(other))
        yield from wrapped(ListedTree(place.path, _unpacked(folder or ".", packed, archives)))


def wrapped(tree: Tree) -> Iterator[Tree]:
    """The tree, then those of the folders that hold everything."""
    for _ in range(DEEPEST):
        yield tree
        inside = folders(tree)
        if len(inside) != 1 or layout.is_system_folder(inside[0]):
            return
        tree = tree.at(inside[0])


def _with_companions(path: str) -> dict[str, ImageSource]:
    """A file, and those next to it that hold the rest of its set: files of idx whose names begin alike."""
    folder, name = os.path.split(path)
    files: dict[str, ImageSource] = {name: FileSource(path)}
    if found := _IDX.match(name):
        names = [other for other in os.listdir(folder or ".") if (one := _IDX.match(other)) and one[1] == found[1]]
        files |= {other: FileSource(os.path.join(folder, other)) for other in names}
    return files


def _is_archive(name: str) -> bool:
    return name.lower().endswith((*_TAR, ".zip"))


def _is_tar(place: Place) -> bool:
    try:
        return bool(place.head) and is_tar(place.path)
    except (OSError, EOFError):
        return False


def _unpacked(folder: str, packed: Collection[str], archives: Collection[str]) -> dict[str, ImageSource]:
    """The members of archives, as if each had been unpacked in the folder, and the files next to them."""
    found: dict[str, ImageSource] = {}
    for name in sorted(os.listdir(folder)):
        full = os.path.join(folder, name)
        if name in packed:
            found |= _members(full, archives)
        elif os.path.isfile(full):
            found[name] = FileSource(full)
        elif os.path.isdir(full):
            inside = FolderTree(full)
            found |= {f"{name}/{file}": inside.source(file) for file in inside.files()}
    return found


def _members(path: str, archives: Collection[str]) -> dict[str, ImageSource]:
    """The files of an archive, and of tars in a plain tar; none of a damaged one."""
    try:
        listed = zip_members(path)[0] if zipfile.is_zipfile(path) else members(path)[0]
    except (DataError, OSError):
        return {}
    found: dict[str, ImageSource] = {}
    for member in listed:
        if member.reason:
            continue
        found[member.name] = member.source
        if member.name.endswith(".tar") and isinstance(member.source, SpanSource):
            stem = member.name.removesuffix(".tar")
            found |= {f"{stem}/{name}": source for name, source in _inner(member.source).items()}
        elif member.name.rsplit("/", 1)[-1] in archives and member.name.endswith(_PACKED_TAR):
            found |= _unpacked_inner(member.source)
    return found


def _unpacked_inner(outer: ImageSource) -> dict[str, ImageSource]:
    """The files of a packed tar in an archive, as if it had been unpacked at the root; none of a damaged one."""
    found: dict[str, ImageSource] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(whole(outer)), mode="r:", tarinfo=Header) as archive:
            for info in archive:
                if info.isreg() and not skip_reason(info.name.removeprefix("./"), info.size):
                    name = info.name.removeprefix("./")
                    found[name] = NestedSource(outer, info.offset_data, info.size)
    except (*DAMAGE, ImageError):
        return {}
    return found


def _inner(outer: SpanSource) -> dict[str, ImageSource]:
    """The files of a tar in a tar, where they are in the outer file."""
    found: dict[str, ImageSource] = {}
    with open(outer.path, "rb") as file:
        file.seek(outer.offset)
        try:
            with tarfile.open(fileobj=file, mode="r:", tarinfo=Header) as archive:
                for info in archive:
                    if info.isreg():
                        found[info.name] = SpanSource(outer.path, info.offset_data, info.size)
        except DAMAGE:
            return found
    return found
