"""Country211: `train/AD/*.jpg`, `valid/`, `test/`, by the codes of countries."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, class_folders, named
from imaginate.data.official.core.tree import Tree, folders, is_called
from imaginate.data.official.core.words import words_of
from imaginate.records import Part

NEARLY_ALL = 200
SPLITS = {"train": "train", "valid": "validation", "test": "test"}


class Country211:
    """211 countries by their ISO code, with their names as words."""

    title: ClassVar[str] = "Country211"
    archives: ClassVar[tuple[str, ...]] = ("country211.tgz",)

    def recognises(self, tree: Tree) -> bool:
        """By codes of countries in all three parts: nearly all of the 211, or some below the set's own name."""
        found = [set(folders(tree, name)) for name in SPLITS]
        if not all(found) or not found[0] <= words_of("country211").keys():
            return False
        return is_called(tree, "country211") or (found[0] == found[2] and len(found[0]) >= NEARLY_ALL)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the three parts."""
        names, rows = class_folders(tree, SPLITS)
        return Published(classes=named(names, words_of("country211")), rows=rows)
