"""SVHN, cropped digits: `train_32x32.mat`, `test_32x32.mat`, `extra_32x32.mat`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.matrices import labels_of
from imaginate.data.official.core.published import Published, Row, digits
from imaginate.data.official.core.tree import Tree
from imaginate.data.sources.array_row import ArrayRow
from imaginate.records import Part

SPLITS = ("train", "test", "extra")


class Svhn:
    """Ten digits; the file calls the digit 0 a 10."""

    title: ClassVar[str] = "SVHN"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the name of a file."""
        return any(tree.has(f"{split}_32x32.mat") for split in SPLITS)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of each file."""
        rows = [
            Row(f"{name}/{n}", int(label) % 10, split, ArrayRow(tree.source(name), "svhn", n))
            for split in SPLITS
            if tree.has(name := f"{split}_32x32.mat")
            for n, label in enumerate(labels_of(tree, name, "y"))
        ]
        return Published(classes=digits(), rows=rows)
