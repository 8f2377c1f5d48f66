"""FGVC-Aircraft: `data/images/0034309.jpg`, variants and splits in text files."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, lines
from imaginate.records import Part

LISTS = {"train": "train", "val": "validation", "test": "test"}


class FgvcAircraft:
    """100 variants in the order of variants.txt."""

    title: ClassVar[str] = "FGVC-Aircraft"
    archives: ClassVar[tuple[str, ...]] = ("fgvc-aircraft-2013b.tar.gz",)

    def recognises(self, tree: Tree) -> bool:
        """By the list of variants, in `data` or above it."""
        return _data(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the three lists."""
        start = _data(tree) or ""
        names = lines(tree, f"{start}variants.txt")
        rows = [
            Row(f"{start}images/{image}.jpg", names.index(name.strip()), split)
            for word, split in LISTS.items()
            if tree.has(f"{start}images_variant_{word}.txt")
            for image, name in (line.split(" ", 1) for line in lines(tree, f"{start}images_variant_{word}.txt"))
        ]
        return Published(
            classes=named(names),
            rows=rows,
            by="variants.txt and images_variant_*.txt",
            left_out=["families, manufacturers and boxes"],
            listed=[f"{start}images"],
        )


def _data(tree: Tree) -> str | None:
    """The folder of the lists, as a beginning of names; None where there is none."""
    return next(
        (
            start
            for start in ("data/", "")
            if tree.has(f"{start}variants.txt") and tree.has(f"{start}images_variant_train.txt")
        ),
        None,
    )
