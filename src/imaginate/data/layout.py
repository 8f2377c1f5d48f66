"""Class and split of each image from its path alone; the same rules for folders, zips and tars.

    [wrapper/] [train|val|test/] class [/subclass ...] / image

The class is the path of the image's own folder, below the wrapper and the split.
"""

from __future__ import annotations

from collections.abc import Sequence

from imaginate.data import splits as names

OUTSIDE = "outside the split folders"
NO_CLASS = "not in a class folder"
_SYSTEM_FOLDERS = (
    "__MACOSX", "@eaDir", "$RECYCLE.BIN", ".git", ".hg", ".svn", ".ipynb_checkpoints", ".cache", ".thumbnails",
    ".Trash", ".Spotlight-V100", ".fseventsd",
)  # fmt: skip
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".gitignore", ".gitkeep", ".nomedia", ".lock"})
_OWN_FILES = frozenset({"classes.yaml", "classes.yml", "classes.json"})


def is_system_folder(name: str) -> bool:
    """Whether file managers and tools leave a folder of this name behind; other names with a dot are classes."""
    return name in _SYSTEM_FOLDERS or name.startswith(".Trash-")


def is_system_file(name: str) -> bool:
    """Whether file managers, or runs, leave a file of this name behind (`.DS_Store`, `._photo.jpg`, `.lock`)."""
    return name in _SYSTEM_FILES or name.startswith("._")


def is_own_file(name: str) -> bool:
    """Whether a file describes the classes, and is read elsewhere."""
    return name in _OWN_FILES


def arrange(paths: Sequence[str]) -> list[tuple[str, str | None]]:
    """(class, split) of each path; an empty class and a reason in place of the split where it has none."""
    parts = [path.split("/") for path in paths]
    base = _wrapper(parts)
    splits = _split_folders(parts, base)
    out: list[tuple[str, str | None]] = []
    for part in parts:
        if len(part) < base + 2:
            out.append(("", NO_CLASS))
        elif not splits:
            out.append(("/".join(part[base:-1]), None))
        elif part[base] not in splits:
            out.append(("", OUTSIDE))
        elif len(part) < base + 3:
            out.append(("", NO_CLASS))
        else:
            out.append(("/".join(part[base + 1 : -1]), names.known(part[base])))
    return out


def _wrapper(parts: list[list[str]]) -> int:
    """How many leading folders hold everything (`caltech101/...`) and are neither a split nor the only class."""
    base = 0
    while True:
        body = [part for part in parts if len(part) > base + 1]
        tops = {part[base] for part in body}
        if len(tops) != 1 or names.known(next(iter(tops))) or not all(len(part) > base + 2 for part in body):
            return base
        base += 1


def _split_folders(parts: list[list[str]], base: int) -> set[str]:
    """Top folders that are splits: all of them are, or `train` and another are. A class may be called `train`."""
    tops = {part[base] for part in parts if len(part) > base + 1}
    deep = {part[base] for part in parts if len(part) > base + 2}
    usual = {top for top in tops if names.known(top)}
    meant = {names.known(top) for top in usual}
    if usual == tops and (usual <= deep or len(meant) > 1):
        return usual
    nested = {names.known(top) for top in usual & deep}
    return usual & deep if "train" in nested and len(nested) > 1 else set()
