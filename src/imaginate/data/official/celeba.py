"""CelebA: `img_align_celeba/000001.jpg` with forty attributes and an identity each, in text files or csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import ClassVar

from imaginate.data.official.core.published import Published, Row
from imaginate.data.official.core.tree import Tree, first, folders, lines, read
from imaginate.errors import DataError
from imaginate.records import ClassInfo, Part
from imaginate.settings import nearest

FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba")
SPLITS = ("train", "validation", "test")
IDENTITY = "identity"


class CelebA:
    """The class is one of the attributes, yes or no, or the identity: `--label-column` says which."""

    title: ClassVar[str] = "CelebA"
    archives: ClassVar[tuple[str, ...]] = ("img_align_celeba.zip",)

    def recognises(self, tree: Tree) -> bool:
        """By the folder of faces, and the attributes or identities."""
        return bool(tree.names("img_align_celeba")) and any(map(tree.has, ("identity_CelebA.txt", *_both("attr"))))

    def read(self, tree: Tree, part: Part) -> Published:
        """All faces by one attribute, in the parts of list_eval_partition."""
        folder = next((name for name in FOLDERS if folders(tree, name) or tree.names(name)), FOLDERS[1])
        partition = {name: int(row["partition"]) for name, row in _table(tree, "eval_partition", ["partition"]).items()}
        if part.label_column == IDENTITY:
            classes, labels = _identities(tree)
        else:
            classes, labels = _attribute(tree, part.label_column)
        rows = [Row(f"{folder}/{name}", labels.get(name), SPLITS[split]) for name, split in partition.items()]
        left_out = ["boxes and landmarks", "the other attributes"]
        return Published(
            classes=classes, rows=rows, by="list_eval_partition", left_out=left_out, listed=[folder], by_column=True
        )


def _identities(tree: Tree) -> tuple[list[ClassInfo], Mapping[str, int]]:
    """People by their number, from 1."""
    pairs = [line.split() for line in lines(tree, "identity_CelebA.txt")]
    number = {name: int(identity) - 1 for name, identity in pairs}
    return [ClassInfo(name=str(n + 1)) for n in range(max(number.values()) + 1)], number


def _attribute(tree: Tree, wanted: str | None) -> tuple[list[ClassInfo], Mapping[str, int]]:
    """No and yes, as 0 and 1."""
    table = _table(tree, "attr")
    there = list(next(iter(table.values()), {}))
    if wanted is None:
        raise DataError(
            f"it has {len(there)} attributes of each face, and needs --label-column with one of them "
            f"({', '.join(there[:4])}, ...), or --label-column {IDENTITY}"
        )
    name = {word.lower(): word for word in there}.get(wanted.lower())
    if name is None:
        raise DataError(f"it has no attribute {wanted!r}{nearest(wanted, there)}")
    words = name.replace("_", " ")
    classes = [ClassInfo(name=f"not {name}", display=f"not {words}"), ClassInfo(name=name, display=words)]
    return classes, {file: int(int(row[name]) > 0) for file, row in table.items()}


def _both(kind: str) -> tuple[str, str]:
    return f"list_{kind}_celeba.txt", f"list_{kind}_celeba.csv"


def _table(tree: Tree, kind: str, columns: list[str] | None = None) -> dict[str, Mapping[str, str]]:
    """File -> its row: a text whose first lines are the count and the columns, or a csv."""
    options = (f"list_{kind}.txt", f"list_{kind}.csv") if columns else _both(kind)
    name = first(tree, options)
    if name is None:
        raise DataError(f"{tree.path} has no {options[0]}, which holds its labels or splits")
    if name.endswith(".csv"):
        rows = csv.DictReader(io.StringIO(read(tree, name).decode("utf-8-sig")), skipinitialspace=True)
        return {row.pop("image_id"): row for row in rows}
    found = [line.split() for line in lines(tree, name)]
    head, body = (columns, found) if columns else (found[1], found[2:])
    return {row[0]: dict(zip(head, row[1:], strict=True)) for row in body}
