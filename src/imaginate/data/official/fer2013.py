"""FER2013: one csv of pixels, `fer2013.csv`, `icml_face_data.csv`, or `train.csv` alone."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.arrays import fer_rows
from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first, read
from imaginate.data.official.core.words import words_of
from imaginate.data.sources.array_row import ArrayRow
from imaginate.records import Part

FILES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
USAGE = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}


class Fer2013:
    """Seven expressions by their number; both tests together are the test, as torchvision has them."""

    title: ClassVar[str] = "FER2013"
    archives: ClassVar[tuple[str, ...]] = ("fer2013.tar.gz",)

    def recognises(self, tree: Tree) -> bool:
        """By the first line of the csv."""
        name = first(tree, FILES)
        if name is None:
            return False
        head = tree.source(name).read()[:64].decode("utf-8", "replace").split("\n")[0].replace(" ", "").strip()
        return head.startswith("emotion,") and "pixels" in head

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the csv."""
        name = first(tree, FILES) or ""
        source = tree.source(name)
        rows = [
            Row(
                f"{name}/{n}",
                int(row["emotion"]),
                USAGE.get(row.get("Usage") or "Training"),
                ArrayRow(source, "fer2013", n),
            )
            for n, row in enumerate(fer_rows(read(tree, name)))
        ]
        words = words_of("fer2013")
        return Published(classes=named(words, words), rows=rows, by=name)
