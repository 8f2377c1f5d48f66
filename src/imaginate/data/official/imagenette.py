"""Imagenette: ten classes of ImageNet, `train/n01440764/*.JPEG` and `val/`."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, class_folders
from imaginate.data.official.core.tree import Tree, folders
from imaginate.data.official.core.wordnet_names import by_words
from imaginate.records import Part

WORDS = {
    "n01440764": "tench, Tinca tinca", "n02102040": "English springer, English springer spaniel",
    "n02979186": "cassette player", "n03000684": "chain saw, chainsaw", "n03028079": "church, church building",
    "n03394916": "French horn, horn", "n03417042": "garbage truck, dustcart",
    "n03425413": "gas pump, gasoline pump, petrol pump, island dispenser", "n03445777": "golf ball",
    "n03888257": "parachute, chute",
}  # fmt: skip


class Imagenette:
    """Ten classes by their WordNet ids; `val` is the validation part, and the lists of noisy labels are not read."""

    title: ClassVar[str] = "Imagenette"
    archives: ClassVar[tuple[str, ...]] = tuple(f"imagenette2{size}.tgz" for size in ("", "-160", "-320"))

    def recognises(self, tree: Tree) -> bool:
        """By exactly these ten folders in both parts."""
        return all(folders(tree, name) == sorted(WORDS) for name in ("train", "val"))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        names, rows = class_folders(tree, {"train": "train", "val": "validation"})
        return Published(classes=by_words(names, WORDS), rows=rows, left_out=["the lists of noisy labels"])
