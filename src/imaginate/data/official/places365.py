"""Places365: `data_256_standard/a/airfield/*.jpg`, `val_256/`, labels in lists."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first, folders, lines
from imaginate.records import Part

PARTS = (
    ("train", ("data_256", "data_large"), ("places365_train_standard.txt", "places365_train_challenge.txt")),
    ("validation", ("val_256", "val_large"), ("places365_val.txt",)),
)


class Places365:
    """365 scenes by their number in categories_places365.txt."""

    title: ClassVar[str] = "Places365"
    archives: ClassVar[tuple[str, ...]] = (
        "train_256_places365standard.tar",
        "val_256.tar",
        "filelist_places365-standard.tar",
    )

    def recognises(self, tree: Tree) -> bool:
        """By the list of categories, and a folder of images with its own list."""
        return tree.has("categories_places365.txt") and any(folder and file for _, folder, file in _parts(tree))

    def read(self, tree: Tree, part: Part) -> Published:
        """Training and validation images; the test images have no labels."""
        found = [line.split() for line in lines(tree, "categories_places365.txt")]
        names = [name for name, _ in sorted(found, key=lambda pair: int(pair[1]))]
        rows: list[Row] = []
        for split, folder, file in _parts(tree):
            if folder and file:
                rows += [
                    Row(f"{folder}/{image.lstrip('/')}", int(label), split)
                    for image, label in (line.split() for line in lines(tree, file))
                ]
        words = {name: " ".join(reversed(name[3:].replace("_", " ").split("/"))) for name in names}
        return Published(
            classes=named(names, words), rows=rows, by="the lists", left_out=["the test images, which have no labels"]
        )


def _parts(tree: Tree) -> list[tuple[str, str | None, str | None]]:
    """(split, folder, list) of both parts, as far as they are there."""
    inside = folders(tree)
    return [
        (split, next((name for name in inside if name.startswith(starts)), None), first(tree, lists))
        for split, starts, lists in PARTS
    ]
