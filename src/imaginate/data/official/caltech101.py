"""Caltech-101: `101_ObjectCategories/<class>/image_0001.jpg`, with a folder of clutter among the classes."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, named, numbered
from imaginate.data.official.core.tree import Tree, folders
from imaginate.records import Part

CLUTTER = "BACKGROUND_Google"


class Caltech101:
    """101 classes in the order of their names, capitals first; the clutter is no class."""

    title: ClassVar[str] = "Caltech-101"
    archives: ClassVar[tuple[str, ...]] = ("101_ObjectCategories.tar.gz", "caltech-101.zip")

    def recognises(self, tree: Tree) -> bool:
        """By the name of the folder, or by the clutter next to classes of this set."""
        return _root(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """All images, which have no splits."""
        start = _root(tree) or ""
        names = [name for name in folders(tree, start.rstrip("/")) if name != CLUTTER]
        return Published(
            classes=named(names),
            rows=numbered(tree, start.rstrip("/"), names, None),
            left_out=[f"the clutter ({CLUTTER})", "the outlines in Annotations"],
        )


def _root(tree: Tree) -> str | None:
    """The folder of the classes, as a beginning of names."""
    if tree.names("101_ObjectCategories"):
        return "101_ObjectCategories/"
    return "" if {CLUTTER, "accordion", "airplanes"} <= tree.names() else None
