"""CIFAR-10: `data_batch_1` to 5 and `test_batch` as pickles, or the same as `.bin`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.cifar import binary_rows, pickled_rows
from imaginate.data.official.core.pickles import unpickled
from imaginate.data.official.core.published import Published, named
from imaginate.data.official.core.tree import Tree, lines, read
from imaginate.records import Part

FILES = {**{f"data_batch_{n}": "train" for n in range(1, 6)}, "test_batch": "test"}
BINARY = {f"{name}.bin": split for name, split in FILES.items()}
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Cifar10:
    """Ten classes with the names of the meta file; pickles may hold arrays and plain containers alone."""

    title: ClassVar[str] = "CIFAR-10"
    archives: ClassVar[tuple[str, ...]] = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")

    def recognises(self, tree: Tree) -> bool:
        """By a batch with the meta file, or the test batch, next to it."""
        return (tree.has("data_batch_1") and (tree.has("batches.meta") or tree.has("test_batch"))) or tree.has(
            "data_batch_1.bin"
        )

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of all batches."""
        if tree.has("data_batch_1.bin"):
            names = lines(tree, "batches.meta.txt") if tree.has("batches.meta.txt") else list(NAMES)
            return Published(classes=named(names), rows=binary_rows(tree, BINARY, before=1))
        has_names = tree.has("batches.meta")
        names = [str(n) for n in unpickled(read(tree, "batches.meta"))["label_names"]] if has_names else list(NAMES)
        return Published(classes=named(names), rows=pickled_rows(tree, FILES, ("labels",)))
