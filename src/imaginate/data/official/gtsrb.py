"""German traffic signs: `GTSRB/Training/00000/*.ppm`, `GTSRB/Final_Test/Images/`, labels of the test in a csv."""

from __future__ import annotations

import csv
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first, folders, pictures, read
from imaginate.data.official.core.words import words_of
from imaginate.records import Part

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
        """By the folder of the training or of the test images."""
        return any(tree.names(f"{start}{name}") for start in STARTS for name in (*TRAIN, TEST))

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both parts."""
        rows: list[Row] = []
        listed: list[str] = []
        for start in STARTS:
            for folder in (f"{start}{name}" for name in TRAIN):
                rows += [
                    Row(name, int(sign), "train")
                    for sign in folders(tree, folder)
                    for name in pictures(tree, f"{folder}/{sign}")
                ]
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
