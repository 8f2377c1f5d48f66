"""Tiny-ImageNet-200: `train/n01443537/images/*.JPEG`, `val/images/` with val_annotations.txt, a test without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row
from imaginate.data.official.core.tree import Tree, folders, lines, pictures
from imaginate.data.official.core.wordnet_names import by_words
from imaginate.records import Part

VAL = "val/val_annotations.txt"


class TinyImagenet:
    """200 classes by their WordNet ids, in the order of the ids, with the words of words.txt."""

    title: ClassVar[str] = "Tiny-ImageNet-200"
    archives: ClassVar[tuple[str, ...]] = ("tiny-imagenet-200.zip",)

    def recognises(self, tree: Tree) -> bool:
        """By the annotations of the validation images, or by a folder of images in each class."""
        has_images = any(tree.names(f"train/{wnid}/images") for wnid in folders(tree, "train"))
        return tree.has(VAL) or (tree.has("wnids.txt") and has_images)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of train and val."""
        listed = lines(tree, "wnids.txt") if tree.has("wnids.txt") else folders(tree, "train")
        found = [line.split("\t") for line in lines(tree, VAL)] if tree.has(VAL) else []
        ids = sorted(set(listed) | set(folders(tree, "train")) | {line[1] for line in found})
        number = {wnid: label for label, wnid in enumerate(ids)}
        rows = [
            Row(name, number[wnid], "train")
            for wnid in folders(tree, "train")
            for name in pictures(tree, f"train/{wnid}")
        ]
        if found and (tree.names("val/images") or not _sorted(tree, "val", number)):
            rows += [Row(f"val/images/{line[0]}", number[line[1]], "validation") for line in found]
        else:
            rows += _sorted(tree, "val", number)
        rows += _sorted(tree, "test", number)
        words = dict(line.split("\t", 1) for line in lines(tree, "words.txt")) if tree.has("words.txt") else {}
        return Published(
            classes=by_words(ids, words),
            rows=rows,
            by=VAL if found else "the folders",
            left_out=["boxes", "the test images, which have no labels"],
            listed=["val"],
        )


def _sorted(tree: Tree, folder: str, number: Mapping[str, int]) -> list[Row]:
    """The images of a part that somebody sorted into folders of classes."""
    split = {"val": "validation", "test": "test"}[folder]
    ids = [wnid for wnid in folders(tree, folder) if wnid in number]
    return [Row(name, number[wnid], split) for wnid in ids for name in pictures(tree, f"{folder}/{wnid}")]
