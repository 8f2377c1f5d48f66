"""Food-101: `images/<dish>/*.jpg`, splits in `meta/train.json` and `meta/test.json`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, read
from imaginate.limits import parse_json
from imaginate.records import Part


class Food101:
    """101 dishes, in the order of their names."""

    title: ClassVar[str] = "Food-101"
    archives: ClassVar[tuple[str, ...]] = ("food-101.tar.gz",)

    def recognises(self, tree: Tree) -> bool:
        """By both lists."""
        return tree.has("meta/train.json") and tree.has("meta/test.json") and bool(tree.names("images"))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both lists."""
        lists = {split: parse_json(read(tree, f"meta/{split}.json")) for split in ("train", "test")}
        names = sorted({name for found in lists.values() for name in found})
        rows = [
            Row(f"images/{image}.jpg", names.index(name), split)
            for split, found in lists.items()
            for name, images in found.items()
            for image in images
        ]
        return Published(classes=named(names), rows=rows, by="meta/train.json and meta/test.json", listed=["images"])
