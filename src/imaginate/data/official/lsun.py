"""LSUN: a database of WebP files for each category and part, `bedroom_train_lmdb/data.mdb`."""

from __future__ import annotations

import os
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.lmdb_value import LmdbValue, keys
from imaginate.errors import DataError
from imaginate.records import Part

CATEGORIES = (
    "bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen", "living_room",
    "restaurant", "tower",
)  # fmt: skip
SPLITS = {"train": "train", "val": "validation"}


class Lsun:
    """Ten categories in torchvision's order, whichever of them are there; the test part has no labels."""

    title: ClassVar[str] = "LSUN"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the database of a category."""
        return any(tree.has(_file(name, word)) for name in CATEGORIES for word in SPLITS)

    def read(self, tree: Tree, part: Part) -> Published:
        """Every value of the databases, in the order of their keys."""
        rows = []
        for label, name in enumerate(CATEGORIES):
            for word, split in SPLITS.items():
                if not tree.has(_file(name, word)):
                    continue
                source = tree.source(_file(name, word))
                if not isinstance(source, FileSource):
                    raise DataError("its databases are not read in an archive: unpack them")
                folder = os.path.dirname(source.path)
                rows += [
                    Row(f"{name}_{word}_lmdb/{key.decode('latin-1')}", label, split, LmdbValue(folder, key))
                    for key in keys(folder)
                ]
        words = {name: name.replace("_", " ") for name in CATEGORIES}
        words["church_outdoor"] = "church from outside"
        return Published(classes=named(CATEGORIES, words), rows=rows, left_out=["test_lmdb, which has no labels"])


def _file(name: str, word: str) -> str:
    return f"{name}_{word}_lmdb/data.mdb"
