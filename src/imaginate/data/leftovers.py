"""Folders with pictures that are no class of a dataset, by the names of all folders: what is left out before the tree
is read, and why.

- A second tree of the same folders: `output/cat` next to `cat`, which Augmentor writes into the dataset that it reads;
  a tree that was packed twice, once inside itself or under a name of other case.
- Pictures without classes next to the one folder that holds the classes: `Test cases/` next to `lungs/lungs/`.
- A few pictures in a folder on the way to the classes: `pets/overview.png` above `pets/cat/`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from imaginate.data import splits as names
from imaginate.errors import some

SECOND = "in a second tree of the same classes"
APART = "outside the class folders"
STRAY = "not in a class folder"
SHOWN = 4  # folders in a message
FEW, TENTH = 3, 10  # pictures that are no class of their own, and their share of those in the folders below


class Leftovers:
    """What is left out of folders. `reasons`: the folder -> why; `notes`: what a person should know."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        """`counts`: how many pictures are directly in each folder."""
        self.reasons: dict[str, str] = {}
        self.notes: list[str] = []
        self._counts = counts
        self._leave_twins()
        self._leave_second_trees()
        self._leave_apart()
        for folder in _strays(self._there()):
            self.reasons[folder] = STRAY

    def _there(self) -> dict[str, int]:
        return {folder: count for folder, count in self._counts.items() if folder not in self.reasons}

    def _leave(self, folders: Collection[str], reason: str) -> None:
        self.reasons.update(dict.fromkeys(folders, reason))

    def _leave_twins(self) -> None:
        """A folder on top, or below the only one there, whose name and inside differ from another's in case alone."""
        wrapper, inside = _by_top(self._there())
        first: dict[str, str] = {}
        for top, below in sorted(inside.items()):
            other = first.setdefault(top.casefold(), top)
            if other != top and len(below) > 1 and inside[other] == below:
                self._leave([f"{wrapper}{top}/{one}".rstrip("/") for one in below], SECOND)
                self.notes.append(f"the folder {top!r} is {other!r} again but for its case: its images are left out")

    def _leave_second_trees(self) -> None:
        for top, inside in second_trees(self._there()).items():
            if names.of_folder(top[:-1].rsplit("/", 1)[-1]) is None:  # a split is no second tree
                self._leave([folder for folder in self._there() if folder.startswith(top)], SECOND)
                self.notes.append(about_second(top, inside))

    def _leave_apart(self) -> None:
        wrapper, inside = _by_top(self._there())
        deep = [top for top, below in inside.items() if len(below) > 1]
        flat = [top for top, below in inside.items() if top and _is_flat(top, below)]
        if len(deep) != 1 or not deep[0]:
            return
        is_wrapper = all(_says_nothing(below.split("/")[0], deep[0]) for below in inside[deep[0]])
        apart = [top for top in flat if is_wrapper or names.in_folder_name(top) is not None]
        if names.of_folder(deep[0]) is not None:  # `Train/`, a flat `Test/`, and what is no split: `Meta/`
            are_splits = [names.of_folder(top) is not None for top in flat]
            apart = flat if any(are_splits) and not all(are_splits) else []
        if not apart:
            return
        self._leave([f"{wrapper}{top}/{one}".rstrip("/") for top in apart for one in inside[top]], APART)
        self.notes.append(
            f"the pictures in {some(sorted(apart), SHOWN)} are left out: the classes are the folders in {deep[0]!r}"
        )


def second_trees(folders: Collection[str]) -> dict[str, list[str]]:
    """Folders (with a slash behind) of which every inner folder is also there without them, and those."""
    below: dict[str, list[str]] = {}
    for name in folders:
        parts = name.split("/")
        for at in range(len(parts) - 1):
            below.setdefault("/".join(parts[: at + 1]) + "/", []).append("/".join(parts[:at] + parts[at + 1 :]))
    found = {top: sorted(inside) for top, inside in below.items() if len(inside) > 1}
    found = {top: inside for top, inside in found.items() if all(one in folders for one in inside)}
    return {top: inside for top, inside in sorted(found.items()) if not any(_holds(other, top) for other in found)}


def about_second(top: str, inside: Sequence[str]) -> str:
    """What is said of such a folder."""
    return (
        f"the folder {top[:-1]!r} holds folders of the same names as the classes next to it ({some(inside, SHOWN)}), "
        "as tools leave that write into the dataset which they read: its images are left out; give it by itself to "
        "read them, or --layout classes to have classes of their own"
    )


def _holds(outer: str, inner: str) -> bool:
    return outer != inner and inner.startswith(outer)


def _is_flat(top: str, below: Collection[str]) -> bool:
    """Whether all pictures of a folder are in one place, on whose way no name says a class."""
    way = next(iter(below)).split("/") if len(below) == 1 else ["?"]
    return all(folder == "" or _says_nothing(folder, top) for folder in way)


def _says_nothing(folder: str, above: str) -> bool:
    """Whether a folder is called like the one above it, or `images`, `data` and the like."""
    return folder == above or names.is_filler(folder)


def _by_top(folders: Collection[str]) -> tuple[str, dict[str, set[str]]]:
    """The folders that wrap all others, with a slash behind; each folder on top in them -> what is below it, "" for
    pictures that are directly in it."""
    wrapper = ""
    while True:
        found: dict[str, set[str]] = {}
        for folder in folders:
            top, _, below = folder.removeprefix(wrapper).partition("/")
            found.setdefault(top, set()).add(below)
        if len(found) != 1 or (top := next(iter(found))) == "" or "" in found[top]:
            return wrapper, found
        wrapper += f"{top}/"


def _strays(counts: Mapping[str, int]) -> set[str]:
    """Folders on the way to all classes that hold a few pictures themselves."""
    rows = {tuple(folder.split("/")): count for folder, count in counts.items() if folder}
    found, way = set[str](), tuple[str, ...]()
    while True:
        below = {row: count for row, count in rows.items() if len(row) > len(way)}
        tops = {row[len(way)] for row in below}
        if len(tops) != 1 or names.of_folder(top := next(iter(tops))) is not None:
            return found
        way = (*way, top)
        deeper = {row: count for row, count in below.items() if len(row) > len(way)}
        own, inside = rows.get(way, 0), sum(deeper.values())
        if not deeper:
            return found
        if own:
            is_few = 2 * own <= inside and (own <= FEW or TENTH * own <= inside)
            if not is_few or len({row[len(way)] for row in deeper}) < 2:
                return found
            found.add("/".join(way))
