"""USPS digits: `usps.bz2` and `usps.t.bz2`, tables in the form of libsvm."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.arrays import usps_rows
from imaginate.data.official.core.published import Published, Row, digits
from imaginate.data.official.core.tree import Tree, read
from imaginate.data.sources.array_row import ArrayRow
from imaginate.records import Part

FILES = {"usps.bz2": "train", "usps.t.bz2": "test"}


class Usps:
    """Ten digits; the labels count from 1 in the files."""

    title: ClassVar[str] = "USPS"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the name of a file."""
        return any(map(tree.has, FILES))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both files."""
        rows = [
            Row(f"{name}/{n}", int(row[0]) - 1, split, ArrayRow(tree.source(name), "usps", n))
            for name, split in FILES.items()
            if tree.has(name)
            for n, row in enumerate(usps_rows(read(tree, name)))
        ]
        return Published(classes=digits(), rows=rows)
