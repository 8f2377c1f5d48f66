"""SEMEION digits: `semeion.data`, a text of 256 pixels and ten marks a line."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.arrays import semeion_rows
from imaginate.data.official.core.published import Published, Row, digits
from imaginate.data.official.core.tree import Tree, read
from imaginate.data.sources.array_row import ArrayRow
from imaginate.records import Part


class Semeion:
    """Ten digits, without splits."""

    title: ClassVar[str] = "SEMEION"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the name of the file."""
        return tree.has("semeion.data")

    def read(self, tree: Tree, part: Part) -> Published:
        """All images."""
        source = tree.source("semeion.data")
        labels = semeion_rows(read(tree, "semeion.data"))[:, 256:].argmax(1)
        rows = [
            Row(f"semeion.data/{n}", int(label), None, ArrayRow(source, "semeion", n)) for n, label in enumerate(labels)
        ]
        return Published(classes=digits(), rows=rows)
