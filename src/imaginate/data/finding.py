"""The image file that a row of a table means: as the path says, or as it says on another computer.

img\\cat\\0.png            written on Windows
C:\\Users\\me\\img\\0.png   the place on the computer where the table was made: its end is looked for
ISIC_0024306              an id, of which the file is `<folder>/ISIC_0024306.jpg`
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from imaginate.data import splits
from imaginate.data.decoding import has_image_suffix
from imaginate.data.layout import is_system_folder
from imaginate.data.mask_files import mask_folder
from imaginate.data.scanning import file_reason
from imaginate.data.sources.file import FileSource
from imaginate.data.urls import is_url, refusal
from imaginate.errors import RunError
from imaginate.files import below
from imaginate.records import ImageSource

MISSING = "missing file"
OUTSIDE = "outside of the dataset"
SEVERAL = "several files of this name"
MOST_FILES = 200_000
_UPLOAD = re.compile(r"[0-9a-f]{8}-.")


@dataclass(frozen=True, slots=True)
class Found:
    """What a path of a table stands for: the id, and the file or the reason why there is none. `tried`: where it was
    looked for. `is_other`: whether the file is at another place than the path says."""

    id: str
    source: ImageSource | None
    reason: str = ""
    tried: str = ""
    is_other: bool = False


class Finder(Protocol):
    """Finds the files that a table names."""

    def find(self, path: str) -> Found:
        """The file of a row's path."""
        ...


@dataclass
class DiskFinder:
    """Files on a disk, relative to the folder of the table; URLs where their protocol is allowed. The files below the
    folder are listed only where a path is not at its place. `prefix`: the folder's name in ids. `root`:
    the folder that its rows may not leave; they may name any file where there is none."""

    folder: str
    table: str = ""
    prefix: str = ""
    root: str = ""
    _index: Index | None = field(default=None, init=False)

    def find(self, path: str) -> Found:
        """The file at the path, else the one that it must mean."""
        if is_url(path):
            return self._copied(path) or Found(path, FileSource(path), refusal(path, self.folder), path)
        full = os.path.join(self.folder, path)
        reason = OUTSIDE if self.root and not _is_under(full, self.root) else file_reason(full)
        if reason not in (MISSING, OUTSIDE):
            return Found(self._id(path, full), FileSource(full), reason, full)
        was_outside = reason == OUTSIDE
        name, reason = self._indexed().look_up(path)
        if not name:
            return Found(self.prefix + path, None, OUTSIDE if was_outside else reason, full)
        place = os.path.join(self.folder, name)
        moved = not _same_place(path, name)
        return Found(self.prefix + name, FileSource(place), file_reason(place), full, moved)

    def _copied(self, url: str) -> Found | None:
        """The copy that is here of a file in a store (`gs://bucket/img/1.jpg`, as a labelling service exports it)."""
        name = "" if url.lower().startswith(("http://", "https://")) else self._indexed().look_up(url)[0]
        place = os.path.join(self.folder, name)
        return Found(self.prefix + name, FileSource(place), file_reason(place), url, True) if name else None

    def _indexed(self) -> Index:
        if self._index is None:
            self._index = Index(_below(self.folder), self.table)
        return self._index

    def _id(self, path: str, full: str) -> str:
        """One name for a file, however its path is written: `./a.png`, `b/../a.png`, or from the root on."""
        top, place = os.path.normpath(self.folder), os.path.normpath(full)
        inside = place.startswith(os.path.join(top, "")) or top == "."
        return self.prefix + (os.path.relpath(place, top).replace(os.sep, "/") if inside else path)


@dataclass
class UrlFinder:
    """Files behind a URL, relative to the folder of the table; they are not looked for before they are read."""

    folder: str

    def find(self, path: str) -> Found:
        """The URL of the path."""
        if is_url(path):
            return Found(path, FileSource(path), refusal(path, self.folder), path)
        try:
            full = below(self.folder, path.replace("\\", "/"))
        except RunError:
            return Found(path, None, OUTSIDE, path)
        return Found(path, FileSource(full), "", full)


class TreeFinder:
    """Files that were listed before: members of an archive, or what is below a URL."""

    def __init__(self, files: Mapping[str, ImageSource], folder: str, table: str) -> None:
        self._files, self._folder = files, folder
        self._index = Index([name.removeprefix(folder) for name in files if name.startswith(folder)], table)

    def find(self, path: str) -> Found:
        """The member at the path, else the one that it must mean."""
        full = self._folder + path
        if full in self._files:
            return Found(full, self._files[full], "", full)
        name, reason = self._index.look_up(path)
        if not name:
            return Found(full, None, reason, full)
        return Found(self._folder + name, self._files[self._folder + name], "", full, not _same_place(path, name))


def found_again(finder: Finder, path: str) -> Found:
    """The file of a path of a tool: as it is written, or behind Label Studio's address of a local file, or without the
    eight digits that it puts in front of the name of an upload."""
    path = of_label_studio(path)
    found = finder.find(path)
    folder, slash, name = path.rpartition("/")
    if found.reason == MISSING and _UPLOAD.match(name):
        again = finder.find(folder + slash + name[9:])
        return found if again.source is None else again
    return found


def of_label_studio(path: str) -> str:
    """The file behind Label Studio's address of a local one (`/data/local-files/?d=cats/1.jpg`); other paths as is."""
    before, mark, inner = path.partition("/data/local-files/?d=")
    return unquote(inner) if mark and (not before or "://" in before) else path


class Index:
    """File names by their last part, with and without extension, for paths that are not where they say."""

    def __init__(self, names: Iterator[str] | Sequence[str], table: str = "") -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._split = splits.of_table(os.path.basename(table).split(".")[0]) if table else None
        self._has_folder = False
        for name in names:
            last = name.rsplit("/", 1)[-1].lower()
            self._has_folder = self._has_folder or (self._split is not None and self._split in _splits_of(name))
            self._by_name.setdefault(last, []).append(name)
            if has_image_suffix(last):
                self._by_stem.setdefault(last.rsplit(".", 1)[0], []).append(name)

    def look_up(self, path: str) -> tuple[str, str]:
        """The one file that the path can mean, or "" and the reason. The longest common end decides, then a folder
        that is named like the table's split (`train.csv`, `train_images/`); masks come last."""
        wanted = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
        last = wanted[-1].lower() if wanted else ""
        options = self._by_name.get(last) or self._by_stem.get(last) or []
        if self._has_folder and len(wanted) < 2:  # a bare name of `train.csv` is no file of `test/`
            options = [o for o in options if self._split in (found := _splits_of(o)) or not found]
        best = max((_common_end(option, wanted) for option in options), default=0)
        left = [option for option in options if _common_end(option, wanted) == best]
        if len(left) > 1 and self._split is not None:
            left = [option for option in left if self._split in _splits_of(option)]
        if len(left) > 1:  # a mask has the name of its image
            left = [option for option in left if mask_folder(option.rpartition("/")[0]) is None] or left
        return (left[0], "") if len(left) == 1 else ("", SEVERAL if left else MISSING)


def _splits_of(name: str) -> set[str]:
    """The splits that the folders of a file name."""
    return _splits_in(name.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _splits_in(folder: str) -> set[str]:
    return {found for part in folder.split("/") if (found := splits.of_folder(part)) is not None}


def _is_under(path: str, root: str) -> bool:
    """Whether a path is in a folder by its name; links in a dataset are followed, as its owner set them."""
    top = os.path.abspath(root)
    return os.path.commonpath((top, os.path.abspath(path))) == top if "\0" not in path else True


def _common_end(name: str, wanted: Sequence[str]) -> int:
    """How many folders in front of the file name are the same, with a bonus for the same name in the same case."""
    parts = name.split("/")
    count = 0
    for one, other in zip(reversed(parts[:-1]), reversed(wanted[:-1]), strict=False):
        if one.lower() != other.lower():
            break
        count += 1
    return 2 * count + (parts[-1].startswith(wanted[-1]))


def _same_place(path: str, name: str) -> bool:
    """Whether the path says this place, if with other separators, in another case or without the extension."""
    plain = path.replace("\\", "/").removeprefix("./").lower()
    return name.lower() == plain or name.lower().rsplit(".", 1)[0] == plain


def _below(folder: str) -> Iterator[str]:
    """Files below a folder, relative to it; at most `MOST_FILES`."""
    count = 0
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_system_folder(name))
        rel = os.path.relpath(at, folder).replace(os.sep, "/")
        for name in sorted(files):
            yield name if rel == "." else f"{rel}/{name}"
            count += 1
            if count >= MOST_FILES:
                return
