"""iNaturalist: `2021_train/00000_Animalia_.../*.jpg`, or `2018/Aves/2815/*.jpg` of the earlier years."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from imaginate.data import splits
from imaginate.data.official.core.published import Published, Row, named
from imaginate.data.official.core.tree import Tree, folders, is_called, pictures
from imaginate.records import Part

_NEW = re.compile(r"\d{5}(?:_[^_]+){7}")
_YEARS = ("2017", "2018", "2019", "train_val_images", "train_val2018", "train_val2019")
_SPLITS = {
    "2021_train": "train",
    "2021_train_mini": "train_mini",
    "2021_valid": "validation",
    "train_mini": "train_mini",
    "val": "validation",
    "valid": "validation",
}
_SUPER = frozenset({
    "Actinopterygii", "Amphibia", "Amphibians", "Animalia", "Arachnida", "Arachnids", "Aves", "Bacteria", "Birds",
    "Chromista", "Fish", "Fungi", "Insecta", "Insects", "Mammalia", "Mammals", "Mollusca", "Mollusks", "Plantae",
    "Plants", "Protozoa", "Reptiles", "Reptilia",
})  # fmt: skip


class Inaturalist:
    """Species by their number, with the last two words of the lineage as words where the folder says them."""

    title: ClassVar[str] = "iNaturalist"
    archives: ClassVar[tuple[str, ...]] = ("train.tar.gz", "train_mini.tar.gz", "val.tar.gz")

    def recognises(self, tree: Tree) -> bool:
        """By folders of 2021 with eight pieces in their names, or by the super-categories of the years before."""
        return bool(_parts(tree))

    def read(self, tree: Tree, part: Part) -> Published:
        """Every part that is there, with the full category as the class."""
        parts = _parts(tree)
        where = {part: _categories(tree, part) for part in parts}
        names = sorted({name for found in where.values() for name in found}, key=_order)
        number = {name: label for label, name in enumerate(names)}
        rows = [
            Row(picture, number[name], parts[folder])
            for folder, found in where.items()
            for name in found
            for picture in pictures(tree, f"{folder}/{name}" if folder else name)
        ]
        words = {name: " ".join(name.split("_")[-2:]) for name in names if _NEW.fullmatch(name)}
        return Published(classes=named(names, words), rows=rows)


def _order(name: str) -> tuple[int, str]:
    """By number where the innermost folder is one (2018, 2019), else by name."""
    last = name.rsplit("/", 1)[-1]
    return (int(last), "") if last.isdigit() else (0, name)


def _parts(tree: Tree) -> dict[str, str | None]:
    """Folder -> split of every part there; the tree itself where it is one."""
    found = {n: _SPLITS.get(n) or splits.of_folder(n) or "train" for n in folders(tree) if _is_part(tree, n)}
    years = {name: None if name in _YEARS else split for name, split in found.items()}
    return dict(years) or ({"": None} if _is_part(tree, "") else {})


def _is_part(tree: Tree, folder: str) -> bool:
    inside = folders(tree, folder)
    if not inside:
        return False
    if all(_NEW.fullmatch(name) for name in inside):
        return True
    is_year = folder in _YEARS if folder else is_called(tree, *_YEARS)
    return set(inside) <= _SUPER and (is_year or (len(inside) > 3 and _has_numbers(tree, folder, inside)))


def _has_numbers(tree: Tree, folder: str, inside: Sequence[str]) -> bool:
    """Whether the species in each of the super-categories are numbers, as in 2018 and 2019."""
    start = f"{folder}/" if folder else ""
    found = [folders(tree, start + name) for name in inside]
    return all(species and all(map(str.isdigit, species)) for species in found)


def _categories(tree: Tree, folder: str) -> list[str]:
    start = f"{folder}/" if folder else ""
    inside = folders(tree, folder)
    if all(_NEW.fullmatch(name) for name in inside):
        return inside
    return [f"{top}/{name}" for top in inside for name in folders(tree, start + top)]
