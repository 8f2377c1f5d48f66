"""QMNIST: `qmnist-train-images-idx3-ubyte` with labels of eight columns, of which the first is the digit."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.idx import idx_file, rows
from imaginate.data.official.core.published import Published
from imaginate.data.official.core.tree import Tree
from imaginate.data.official.mnist import WORDS
from imaginate.records import ClassInfo, Part

PAIRS = {s: (f"qmnist-{s}-images-idx3-ubyte", f"qmnist-{s}-labels-idx2-int") for s in ("train", "test")}


class Qmnist:
    """Ten digits; the test part has all 60,000 images."""

    title: ClassVar[str] = "QMNIST"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the names of the files."""
        return any(idx_file(tree, pictures) for pictures, _ in PAIRS.values())

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        classes = [ClassInfo(name=f"{n} - {word}", display=f"digit {n}") for n, word in enumerate(WORDS)]
        left = ["the other columns of the labels", "the NIST part"]
        return Published(classes=classes, rows=rows(tree, PAIRS), by="the idx files", left_out=left)
