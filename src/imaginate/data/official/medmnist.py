"""MedMNIST as its package saves pictures: `breastmnist/train0_1.png`, with `breastmnist.csv` next to the folder."""

from __future__ import annotations

import re
from typing import ClassVar

from imaginate.data.class_yaml import read_yaml
from imaginate.data.official.core.published import Published, Row
from imaginate.data.official.core.tree import Tree, lines
from imaginate.data.shipped_classes import shipped
from imaginate.errors import DataError
from imaginate.records import ClassInfo, Part

_SET = re.compile(r"([a-z]+mnist(?:3d)?)(?:_(?:64|128|224))?")
_FILE = re.compile(r"(train|val|test)\d+((?:_\d+)+)\.(\w+)")
SPLITS = {"train": "train", "val": "validation", "test": "test"}


class Medmnist:
    """One label an image; the names of the classes are those of MedMNIST."""

    title: ClassVar[str] = "MedMNIST"
    archives: ClassVar[tuple[str, ...]] = ()

    def recognises(self, tree: Tree) -> bool:
        """By a table and a folder of one name, whose files are named by split, number and label."""
        return _name(tree) is not None

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of the table."""
        name = _name(tree) or ""
        flag = (_SET.fullmatch(name) or [name, name])[1]
        if flag.endswith("3d"):
            raise DataError("its volumes are saved as moving GIFs: a volume is no picture; save slices of it instead")
        rows: list[Row] = []
        for line in lines(tree, f"{name}.csv"):
            _, file, *labels = line.split(",")
            found = _FILE.fullmatch(file)
            if len(labels) != 1 or found is None:
                raise DataError(f"{name}.csv gives {len(labels)} labels an image, where one is read")
            rows.append(Row(f"{name}/{file}", int(labels[0]), SPLITS[found[1]]))
        file_of = shipped(flag)
        texts = read_yaml(file_of) if file_of else {"classes": {}}
        count = max((row.label or 0 for row in rows), default=0) + 1
        words, domain = texts["classes"], texts.get("domain", "")
        names = [str(n) for n in range(max(count, len(words)))]
        classes = [ClassInfo(name=n, display=str(words.get(n, "")), domain=domain) for n in names]
        return Published(classes=classes, rows=rows, by=f"{name}.csv", listed=[name])


def _name(tree: Tree) -> str | None:
    """The set whose table and folder are there, if it is one alone."""
    inside = tree.names()
    found = [name for name in inside if _SET.fullmatch(name) and f"{name}.csv" in inside]
    if len(found) != 1 or not any(map(_FILE.fullmatch, tree.names(found[0]))):
        return None
    return found[0]
