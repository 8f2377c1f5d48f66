"""EMNIST: `emnist-letters-train-images-idx3-ubyte` and five more sets of such files in one folder."""

from __future__ import annotations

import string
from typing import ClassVar

from imaginate.data.official.core.idx import idx_file, rows
from imaginate.data.official.core.published import Published
from imaginate.data.official.core.tree import Tree
from imaginate.errors import DataError
from imaginate.records import ClassInfo, Part

_EVERY = sorted(string.digits + string.ascii_letters)
_MERGED = [name for name in _EVERY if name not in "cijklmopsuvwxyz"]
SETS = {
    "byclass": _EVERY,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": ["N/A", *string.ascii_lowercase],
    "digits": list(string.digits),
    "mnist": list(string.digits),
}


class Emnist:
    """Letters and digits under torchvision's names; as there, they are turned on their side, as the files hold them."""

    title: ClassVar[str] = "EMNIST"
    archives: ClassVar[tuple[str, ...]] = ("gzip.zip",)

    def recognises(self, tree: Tree) -> bool:
        """By the names of the files."""
        return bool(_sets(tree))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts of the one set that is there."""
        there = _sets(tree)
        if part.label_column in there:
            there = [part.label_column]
        elif len(there) > 1 or part.label_column is not None:
            raise DataError(
                f"there are the sets {', '.join(there)}: give the file of images of one, such as "
                f"{tree.path}/{_images(tree, there[0])}, or its name: --label-column {there[0]}"
            )
        pairs = {
            split: (f"emnist-{there[0]}-{split}-images-idx3-ubyte", f"emnist-{there[0]}-{split}-labels-idx1-ubyte")
            for split in ("train", "test")
        }
        classes = [ClassInfo(name=name, display=_words(name)) for name in SETS[there[0]]]
        by = "the idx files, in which the characters are turned on their side"
        return Published(classes=classes, rows=rows(tree, pairs), by=by, by_column=True)


def _sets(tree: Tree) -> list[str]:
    return [name for name in SETS if _images(tree, name)]


def _images(tree: Tree, name: str) -> str | None:
    found = (idx_file(tree, f"emnist-{name}-{split}-images-idx3-ubyte") for split in ("train", "test"))
    return next((file for file in found if file), None)


def _words(name: str) -> str:
    if name == "N/A":
        return ""
    kind = "digit" if name.isdigit() else "capital letter" if name.isupper() else "letter"
    return f"{kind} {name}"
