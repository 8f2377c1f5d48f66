"""Oxford Flowers 102: `jpg/image_00001.jpg`, labels in imagelabels.mat, splits in setid.mat."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.matrices import mat
from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree
from imaginate.data.official.core.words import words_of
from imaginate.records import Part

SPLITS = {"trnid": "train", "valid": "validation", "tstid": "test"}


class Flowers102:
    """102 flowers: the labels count from 1 in the file, and from 0 here."""

    title: ClassVar[str] = "Oxford Flowers 102"
    archives: ClassVar[tuple[str, ...]] = ("102flowers.tgz",)

    def recognises(self, tree: Tree) -> bool:
        """By the folder and both files."""
        return tree.has("imagelabels.mat") and tree.has("setid.mat") and bool(tree.names("jpg"))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the three splits."""
        labels = mat(tree, "imagelabels.mat")["labels"].reshape(-1)
        ids = mat(tree, "setid.mat")
        rows = [
            Row(f"jpg/image_{number:05d}.jpg", int(labels[number - 1]) - 1, split)
            for key, split in SPLITS.items()
            for number in ids[key].reshape(-1).tolist()
        ]
        names = words_of("flowers102").values()
        return Published(classes=named(names), rows=rows, by="imagelabels.mat and setid.mat", listed=["jpg"])
