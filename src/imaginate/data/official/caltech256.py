"""Caltech-256: `256_ObjectCategories/001.ak47/001_0001.jpg`, with a folder of clutter at the end."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, named, numbered
from imaginate.data.official.core.tree import Tree, folders
from imaginate.records import Part


class Caltech256:
    """256 classes by their number; 257.clutter is no class."""

    title: ClassVar[str] = "Caltech-256"
    archives: ClassVar[tuple[str, ...]] = ("256_ObjectCategories.tar",)

    def recognises(self, tree: Tree) -> bool:
        """By the name of the folder, or by the clutter next to the classes."""
        return _root(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """All images, which have no splits."""
        start = _root(tree) or ""
        names = [name for name in folders(tree, start.rstrip("/")) if not name.endswith(".clutter")]
        rows = numbered(tree, start.rstrip("/"), names, None)
        return Published(classes=named(names), rows=rows, left_out=["257.clutter"])


def _root(tree: Tree) -> str | None:
    """The folder of the classes, as a beginning of names."""
    if tree.names("256_ObjectCategories"):
        return "256_ObjectCategories/"
    return "" if {"257.clutter", "001.ak47"} <= tree.names() else None
