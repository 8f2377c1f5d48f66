"""Country211: `train/AD/*.jpg`, `valid/`, `test/`, by the codes of countries."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, class_folders, named
from imaginate.data.official.core.tree import Tree, folders
from imaginate.data.official.core.words import words_of
from imaginate.records import Part

SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class Country211:
    """211 countries by their ISO code, with their names as words."""

    title: ClassVar[str] = "Country211"
    archives: ClassVar[tuple[str, ...]] = ("country211.tgz",)

    def recognises(self, tree: Tree) -> bool:
        """By folders of two capitals in all three parts."""
        found = [set(folders(tree, name)) for name in SPLITS]
        return all(found) and found[0] == found[2] and all(len(name) == 2 and name.isupper() for name in found[0])

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the three parts."""
        names, rows = class_folders(tree, SPLITS)
        return Published(classes=named(names, words_of("country211")), rows=rows)
