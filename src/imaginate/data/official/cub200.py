"""CUB-200-2011: `images/001.Black_footed_Albatross/*.jpg`, classes and splits in text files, masks next to them."""

from __future__ import annotations

import re
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, folders, lines, pictures
from imaginate.records import Part

_CLASS = re.compile(r"\d{3}\..+")
_LINE = re.compile(r"\d+\s+\d{3}\.\S")


class Cub200:
    """200 birds by their number; the segmentations, parts and boxes are no seeds."""

    title: ClassVar[str] = "CUB-200-2011"
    archives: ClassVar[tuple[str, ...]] = ("CUB_200_2011.tgz", "CUB_200_2011.tar.gz", "segmentations.tgz")

    def recognises(self, tree: Tree) -> bool:
        """By the list of images or of classes, next to folders that begin with a number of three digits."""
        return _start(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both splits; without a list of splits, all."""
        start = _start(tree) or ""
        is_training = _by_number(tree, f"{start}train_test_split.txt")
        images = _by_number(tree, f"{start}images.txt") or _on_disk(tree, f"{start}images")
        names = {
            **{int(path[:3]) - 1: path.split("/")[0] for path in images.values()},
            **{int(number) - 1: name for number, name in _by_number(tree, f"{start}classes.txt").items()},
        }
        labels = _by_number(tree, f"{start}image_class_labels.txt") or {n: path[:3] for n, path in images.items()}
        split = {"1": "train", "0": "test"}
        rows = [
            Row(f"{start}images/{path}", int(labels[image]) - 1, split[is_training[image]] if is_training else None)
            for image, path in images.items()
        ]
        return Published(
            classes=named(names.get(label, f"{label + 1:03d}") for label in range(max(names) + 1)),
            rows=rows,
            by="image_class_labels.txt and train_test_split.txt" if is_training else "the folders (no list of splits)",
            left_out=["segmentations, parts, attributes and boxes"],
            listed=[f"{start}images"],
        )


def _start(tree: Tree) -> str | None:
    """The folder of the lists, as a beginning of names; None where there is none."""
    for start in ("", "CUB_200_2011/"):
        lists = [name for name in (f"{start}images.txt", f"{start}classes.txt") if tree.has(name)]
        has_lines = bool(lists) and all(_LINE.match(line) for name in lists for line in lines(tree, name)[:1])
        classes = folders(tree, f"{start}images") if has_lines else []
        if classes and all(_CLASS.fullmatch(name) for name in classes):
            return start
    return None


def _by_number(tree: Tree, name: str) -> dict[str, str]:
    """Lines of `<number> <text>`; nothing where there is no such file."""
    found = (line.split(maxsplit=1) for line in lines(tree, name)) if tree.has(name) else ()
    return {number: text.strip() for number, text in found}


def _on_disk(tree: Tree, folder: str) -> dict[str, str]:
    return {str(n): name.removeprefix(folder + "/") for n, name in enumerate(pictures(tree, folder))}
