"""KMNIST (Kuzushiji): the files of MNIST, below a folder whose name says so."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.idx import is_mnist, mnist_pairs, rows, says
from imaginate.data.official.core.published import Published, named
from imaginate.data.official.core.tree import Tree
from imaginate.records import Part

NAMES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


class Kmnist:
    """Ten characters of cursive Japanese, by their sound."""

    title: ClassVar[str] = "KMNIST"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By the names of the files and of a folder."""
        return is_mnist(tree) and says(tree, "kmnist", "kuzushiji")

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        words = {name: f"Japanese character {name}" for name in NAMES}
        return Published(classes=named(NAMES, words), rows=rows(tree, mnist_pairs()), by="the idx files")
