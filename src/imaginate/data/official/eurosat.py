"""EuroSAT: `2750/AnnualCrop/AnnualCrop_1.jpg`, or the same in `EuroSAT_RGB`."""

from __future__ import annotations

import re
from typing import ClassVar

from imaginate.data.official.core.published import Published, named, numbered
from imaginate.data.official.core.tree import Tree, folders
from imaginate.records import Part

CLASSES = frozenset({
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential",
    "River", "SeaLake",
})  # fmt: skip


class Eurosat:
    """Ten kinds of land in the order of their names, which are written in one word."""

    title: ClassVar[str] = "EuroSAT"
    archives: ClassVar[tuple[str, ...]] = ("EuroSAT.zip", "EuroSAT_RGB.zip")

    def recognises(self, tree: Tree) -> bool:
        """By its classes, and no others next to them."""
        return _root(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """All images, which have no splits."""
        root = _root(tree) or ""
        names = folders(tree, root)
        words = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower() for name in names}
        return Published(classes=named(names, words), rows=numbered(tree, root, names, None))


def _root(tree: Tree) -> str | None:
    """The folder of the classes."""
    places = ("2750", "EuroSAT_RGB", "")
    return next((name for name in places if {"AnnualCrop", "SeaLake"} <= tree.folders(name) <= CLASSES), None)
