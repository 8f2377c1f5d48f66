"""Fashion-MNIST: the files of MNIST, below a folder whose name says Fashion."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.idx import is_mnist, mnist_pairs, rows, says
from imaginate.data.official.core.published import Published, named
from imaginate.data.official.core.tree import Tree
from imaginate.records import Part

NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


class FashionMnist:
    """Ten kinds of clothes under torchvision's names."""

    title: ClassVar[str] = "Fashion-MNIST"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the names of the files and of a folder."""
        return is_mnist(tree) and says(tree, "fashion")

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        return Published(classes=named(NAMES), rows=rows(tree, mnist_pairs()), by="the idx files")
