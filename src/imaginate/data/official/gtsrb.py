"""German traffic signs: `GTSRB/Training/00000/*.ppm`, `GTSRB/Final_Test/Images/`, labels of the test in a csv."""

from __future__ import annotations

import csv
import re
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first, folders, pictures, read
from imaginate.data.official.core.words import words_of
from imaginate.records import Part

_SIGN = re.compile(r"000[0-3]\d|0004[0-2]")
STARTS = ("GTSRB/", "")
TRAIN = ("Training", "Final_Training/Images")
TEST = "Final_Test/Images"


class Gtsrb:
    """43 signs by their number; each folder of training images has a csv of boxes."""

    title: ClassVar[str] = "GTSRB"
    archives: ClassVar[tuple[str, ...]] = (
        "GTSRB-Training_fixed.zip",
        "GTSRB_Final_Test_Images.zip",
        "GTSRB_Final_Test_GT.zip",
        "GTSRB_Final_Training_Images.zip",
    )

    def recognises(self, tree: Tree) -> bool:
        """By a folder of the training images, or by that of the test images with its csv or their ppm."""
        return bool(_training(tree)) or any(_has_signs(tree, f"{start}{TEST}") for start in STARTS)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        rows = [
            Row(name, int(sign), "train")
            for folder in _training(tree)
            for sign in folders(tree, folder)
            for name in pictures(tree, f"{folder}/{sign}")
        ]
        listed: list[str] = []
        for start in STARTS:
            if tree.names(f"{start}{TEST}"):
                listed.append(f"{start}{TEST}")
                table = first(tree, (f"{at}GT-final_test.csv" for at in ("", start, f"{start}{TEST}/")))
                text = read(tree, table or "GT-final_test.csv").decode()
                rows += [
                    Row(f"{start}{TEST}/{row['Filename']}", int(row["ClassId"]), "test")
                    for row in csv.DictReader(text.splitlines(), delimiter=";", skipinitialspace=True)
                ]
        words = words_of("gtsrb")
        names = [f"{n:05d}" for n in range(max((row.label or 0 for row in rows), default=0) + 1)]
        return Published(
            classes=named(names, words),
            rows=rows,
            by="the folders and GT-final_test.csv",
            left_out=["boxes"],
            listed=listed,
        )


def _training(tree: Tree) -> list[str]:
    """The folders of training images: every class is one of the 43, and has the csv of boxes or ppm images. A folder
    `Testing` next to it is of another set of signs (Belgium's)."""
    found = [f"{start}{name}" for start in STARTS for name in TRAIN if not tree.names(f"{start}Testing")]
    return [folder for folder in found if _are_signs(tree, folder)]


def _are_signs(tree: Tree, folder: str) -> bool:
    signs = folders(tree, folder)
    return all(map(_SIGN.fullmatch, signs)) and any(_has_signs(tree, f"{folder}/{sign}") for sign in signs)


def _has_signs(tree: Tree, folder: str) -> bool:
    """Whether ppm images, or a csv of this set, are directly in a folder."""
    return any(name.endswith(".ppm") or name.startswith("GT-") for name in tree.names(folder))
