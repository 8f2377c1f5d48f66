"""STL-10: `train_X.bin` with `train_y.bin`, bytes column by column, a colour after the other."""

from __future__ import annotations

import os
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.spans import spans
from imaginate.data.official.core.tree import Tree, lines, read
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.raw import RawSource
from imaginate.errors import MisreadError
from imaginate.records import Part

SIZE = 3 * 96 * 96
NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class Stl10:
    """Ten classes; the labels count from 1 in the files. The 100,000 unlabelled images are no seeds."""

    title: ClassVar[str] = "STL-10"
    archives: ClassVar[tuple[str, ...]] = ("stl10_binary.tar.gz",)

    def recognises(self, tree: Tree) -> bool:
        """By the files of one part."""
        return any(tree.has(f"{split}_X.bin") and tree.has(f"{split}_y.bin") for split in ("train", "test"))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both labelled parts."""
        rows: list[Row] = []
        for split in ("train", "test"):
            if not tree.has(f"{split}_y.bin"):
                continue
            labels, images = read(tree, f"{split}_y.bin"), tree.source(f"{split}_X.bin")
            if isinstance(images, FileSource) and os.path.getsize(images.path) != len(labels) * SIZE:
                raise MisreadError(f"{split}_X.bin has not {len(labels)} images of {SIZE} bytes, as {split}_y.bin says")
            places = spans(tree, f"{split}_X.bin", SIZE, len(labels))
            rows += [
                Row(f"{split}_X.bin/{n}", label - 1, split, RawSource(place, (96, 96, 3), "cwh"))
                for n, (label, place) in enumerate(zip(labels, places, strict=True))
            ]
        names = lines(tree, "class_names.txt") if tree.has("class_names.txt") else list(NAMES)
        return Published(classes=named(names), rows=rows, left_out=["the unlabelled images", "the ten folds"])
