"""Oxford-IIIT Pet: `images/Abyssinian_1.jpg`, lists in `annotations/`, with trimaps and boxes next to them."""

from __future__ import annotations

from typing import ClassVar

from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, first, lines
from imaginate.errors import DataError
from imaginate.records import Part

LISTS = {"trainval.txt": "train", "test.txt": "test"}


class OxfordPets:
    """37 breeds by their number in the lists; `trainval` is the training part."""

    title: ClassVar[str] = "Oxford-IIIT Pet"
    archives: ClassVar[tuple[str, ...]] = ("images.tar.gz", "annotations.tar.gz")

    def recognises(self, tree: Tree) -> bool:
        """By a list whose lines are `<breed>_<number> <breed> <species> <number in the species>`."""
        name = first(tree, (f"annotations/{name}" for name in (*LISTS, "list.txt")))
        if name is None or not tree.names("images"):
            return False
        parts = [line.split() for line in lines(tree, name)[:20] if not line.startswith("#")]
        return bool(parts) and all(len(p) == 4 and "_" in p[0] and p[1].isdigit() and p[2] in "12" for p in parts)

    def read(self, tree: Tree, part: Part) -> Published:
        """The images of both lists; of list.txt alone where these are missing, without splits."""
        there = {name: split for name, split in LISTS.items() if tree.has(f"annotations/{name}")}
        lists: dict[str, str | None] = {**there} if there else {"list.txt": None}
        rows: list[Row] = []
        breeds: dict[int, str] = {}
        for name, split in lists.items():
            for line in lines(tree, f"annotations/{name}"):
                if line.startswith("#"):
                    continue
                image, number, *_ = line.split()
                label = int(number) - 1
                if label < 0:
                    raise DataError(f"annotations/{name} has the class {number}; they count from 1")
                breeds.setdefault(label, " ".join(word.title() for word in image.rsplit("_", 1)[0].split("_")))
                rows.append(Row(f"images/{image}.jpg", label, split))
        names = [breeds.get(label, f"breed {label + 1}") for label in range(max(breeds, default=-1) + 1)]
        return Published(
            classes=named(names),
            rows=rows,
            by=" and ".join(f"annotations/{name}" for name in lists),
            left_out=["trimaps and boxes in annotations"],
            listed=["images"],
        )
