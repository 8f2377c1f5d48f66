"""Describable Textures: `images/<texture>/*.jpg`, ten partitions in `labels/train1.txt`, `val1.txt`, `test1.txt`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, lines
from imaginate.records import Part

LISTS = {"train1": "train", "val1": "validation", "test1": "test"}


class Dtd:
    """47 textures in the splits of the first partition, as torchvision has them by default."""

    title: ClassVar[str] = "DTD (Describable Textures)"
    archives: ClassVar[tuple[str, ...]] = ("dtd-r1.0.1.tar.gz", "dtd-r1.0.tar.gz")

    def recognises(self, tree: Tree) -> bool:
        """By the list of the first partition, which names files in folders of images."""
        if not (tree.has("labels/train1.txt") and tree.has("labels/test1.txt")):
            return False
        named_first = lines(tree, "labels/train1.txt")[:1]
        return any("/" in name and name.split("/")[0] in tree.folders("images") for name in named_first)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the first partition."""
        found = [
            (name, split)
            for file, split in LISTS.items()
            if tree.has(f"labels/{file}.txt")
            for name in lines(tree, f"labels/{file}.txt")
        ]
        names = sorted({name.split("/")[0] for name, _ in found})
        rows = [Row(f"images/{name}", names.index(name.split("/")[0]), split) for name, split in found]
        return Published(
            classes=named(names),
            rows=rows,
            by="labels/train1.txt, val1.txt and test1.txt",
            left_out=["the partitions 2 to 10"],
            listed=["images"],
        )
