"""MNIST: `train-images-idx3-ubyte` with `train-labels-idx1-ubyte`, `t10k-...`, packed by gzip or not."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.idx import is_mnist, mnist_pairs, rows, says
from imaginate.data.official.core.published import Published
from imaginate.data.official.core.tree import Tree
from imaginate.errors import DataError
from imaginate.records import ClassInfo, Part

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Mnist:
    """Ten digits under torchvision's names (`0 - zero`)."""

    title: ClassVar[str] = "MNIST"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the names of the files, where no folder says Fashion or Kuzushiji."""
        return is_mnist(tree) and not says(tree, "fashion", "kmnist", "kuzushiji")

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        found = rows(tree, mnist_pairs())
        if any(row.label is not None and row.label > 9 for row in found):
            raise DataError("its labels go beyond 9: these files are of another set; save them as folders or npz")
        classes = [ClassInfo(name=f"{n} - {word}", display=f"digit {n}") for n, word in enumerate(WORDS)]
        return Published(
            classes=classes, rows=found, by="the idx files (of Fashion-MNIST or KMNIST if a folder says so)"
        )
