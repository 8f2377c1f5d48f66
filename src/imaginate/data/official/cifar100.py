"""CIFAR-100: `train`, `test` and `meta` as pickles, or `train.bin`, `test.bin` and fine_label_names.txt."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.cifar import binary_rows, pickled_rows
from imaginate.data.official.core.pickles import unpickled
from imaginate.data.official.core.published import Published, named
from imaginate.data.official.core.tree import Tree, lines, read
from imaginate.records import Part

FILES = {"train": "train", "test": "test"}
BINARY = {"train.bin": "train", "test.bin": "test"}


class Cifar100:
    """A hundred classes (the fine labels); pickles may hold arrays and plain containers alone."""

    title: ClassVar[str] = "CIFAR-100"
    archives: ClassVar[tuple[str, ...]] = ("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz")

    def recognises(self, tree: Tree) -> bool:
        """By a batch with its file of names."""
        return (tree.has("meta") and (tree.has("train") or tree.has("test"))) or (
            tree.has("fine_label_names.txt") and (tree.has("train.bin") or tree.has("test.bin"))
        )

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both batches."""
        if tree.has("fine_label_names.txt"):
            names, rows = lines(tree, "fine_label_names.txt"), binary_rows(tree, BINARY, before=2)
        else:
            names = [str(name) for name in unpickled(read(tree, "meta"))["fine_label_names"]]
            rows = pickled_rows(tree, FILES, ("fine_labels",))
        return Published(classes=named(names), rows=rows, left_out=["the 20 coarse labels"])
