"""ImageNet 2012: training images by WordNet id, flat validation images, labels in the devkit or a mapping file.

train/n01440764/*.JPEG, or ILSVRC2012_img_train.tar (a tar of tars)
val/ILSVRC2012_val_00000001.JPEG, or ILSVRC2012_img_val.tar
ILSVRC2012_devkit_t12(.tar.gz), meta.bin of torchvision, LOC_val_solution.csv of Kaggle, or one line an image
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from imaginate.data.official.core.matrices import mat
from imaginate.data.official.core.published import Published, Row
from imaginate.data.official.core.tree import Tree, first, folders, lines, pictures, read
from imaginate.data.official.core.wordnet_names import by_words
from imaginate.errors import DataError
from imaginate.records import Part

_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.(?:JPEG|jpe?g|png)", re.IGNORECASE)
_ID = re.compile(r"n\d{8}")
_DEVKITS = ("ILSVRC2012_devkit_t12/data/", "data/", "devkit/data/", "")
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_MAPPINGS = (
    "LOC_val_solution.csv", "imagenet_2012_validation_synset_labels.txt", "synset_labels.txt", "val_annotations.txt",
    "val.txt", "val_labels.txt", "ILSVRC2012_val_labels.txt", "imagenet_val_labels.txt",
)  # fmt: skip
_WORDS = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")


class Imagenet:
    """1000 classes by their WordNet ids, in the order of the ids; a flat `val` needs a file that says its labels."""

    title: ClassVar[str] = "ImageNet 2012"
    archives: ClassVar[tuple[str, ...]] = (
        "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz",
    )  # fmt: skip

    def recognises(self, tree: Tree) -> bool:
        """By flat validation images, or by a devkit next to class folders."""
        if tree.has("val/val_annotations.txt"):
            return False
        if any(_flat(tree, folder) for folder in _val_folders(tree)):
            return True
        return _devkit(tree, "meta.mat") is not None and bool(_train(tree))

    def read(self, tree: Tree, part: Part) -> Published:
        """Training images by folder, validation images by folder or by the labels that were found."""
        train = {wnid: f"{folder}{wnid}" for folder, wnid in _train(tree)}
        flat = next((folder for folder in _val_folders(tree) if _flat(tree, folder)), None)
        labels = {} if flat is None else _labels(tree, sorted(train))
        sorted_val = {wnid: f"val/{wnid}" for wnid in folders(tree, "val") if _ID.fullmatch(wnid)}
        words = _words(tree)
        leaves = set(words) if len(words) == 1000 else set()
        ids = sorted(set(train) | set(sorted_val) | set(labels.values()) | leaves)
        number = {wnid: label for label, wnid in enumerate(ids)}
        rows = [Row(name, number[w], "train") for w, folder in train.items() for name in pictures(tree, folder)]
        rows += [
            Row(name, number[w], "validation") for w, folder in sorted_val.items() for name in pictures(tree, folder)
        ]
        for name in pictures(tree, flat) if flat is not None else ():
            if found := _VAL.fullmatch(name.rsplit("/", 1)[-1]):
                wnid = labels.get(int(found[1]))
                rows.append(Row(name, None if wnid is None else number[wnid], "validation"))
        return Published(
            classes=by_words(ids, words),
            rows=rows,
            by="the folders" if flat is None else "the folders and the labels of the validation images",
            left_out=["boxes", "the test images, which have no labels"],
        )


def _val_folders(tree: Tree) -> list[str]:
    return [name for name in ("val", "ILSVRC2012_img_val", "Data/CLS-LOC/val", "validation", "") if tree.names(name)]


def _flat(tree: Tree, folder: str) -> bool:
    """Whether validation images are directly in a folder, without a table of labels of somebody else."""
    inside = tree.names(folder)
    has_table = any(name.startswith("metadata.") for name in inside)
    return not has_table and any(name.startswith("ILSVRC2012_val_") for name in inside)


def _train(tree: Tree) -> list[tuple[str, str]]:
    """(beginning of names, WordNet id) of each class folder of training images."""
    for start in ("train/", "Data/CLS-LOC/train/", "ILSVRC2012_img_train/", ""):
        if found := [(start, name) for name in folders(tree, start.rstrip("/")) if _ID.fullmatch(name)]:
            return found
    return []


def _devkit(tree: Tree, name: str) -> str | None:
    return first(tree, (start + name for start in _DEVKITS))


def _labels(tree: Tree, ids: list[str]) -> dict[int, str]:
    """Number of a validation image -> WordNet id, by what is there. DataError where nothing says it."""
    truth, meta = _devkit(tree, _TRUTH), _devkit(tree, "meta.mat")
    if truth is not None and meta is not None:
        by_number = {number: wnid for number, wnid, _ in _synsets(tree, meta)}
        return {n: by_number[int(line)] for n, line in enumerate(lines(tree, truth), 1)}
    if tree.has("meta.bin"):
        return dict(enumerate(_meta_bin(tree)[1], 1))
    if (mapping := first(tree, _MAPPINGS)) is not None:
        return _mapped(tree, mapping, ids)
    there = (
        f"{truth} gives numbers, and their WordNet ids are in meta.mat of the devkit"
        if truth
        else (
            f"the images of val are in no class folders, and one of {_TRUTH} with meta.mat (the devkit), "
            f"LOC_val_solution.csv or synset_labels.txt must be next to val"
        )
    )
    raise DataError(there)


def _mapped(tree: Tree, name: str, ids: list[str]) -> dict[int, str]:
    """Lines of `<image>,<id> <box>`, of `<image> <number or id>`, or an id or number for each image in turn. Numbers
    count the ids in their order, from 0."""
    every = sorted(_words(tree)) or ids
    found: dict[int, str] = {}
    for turn, line in enumerate(lines(tree, name), 1):
        image = re.search(r"ILSVRC2012_val_(\d{8})", line)
        wnid = _ID.search(line)
        number = re.search(r"(?:^|[\s,])(\d{1,3})$", line)
        if wnid is None and number is None:
            continue  # a header
        if wnid is None and len(every) != 1000:
            raise DataError(f"{name} gives numbers, and no file says which WordNet ids they mean")
        found[int(image[1]) if image else turn] = wnid[0] if wnid else every[int(number[1])] if number else ""
    return found


def _synsets(tree: Tree, meta: str) -> list[tuple[int, str, str]]:
    """(number, WordNet id, words) of the classes that have no classes below them."""
    found: Any = mat(tree, meta)["synsets"]
    return [(int(row[0]), str(row[1]), str(row[2])) for row in found.reshape(-1).tolist() if int(row[4]) == 0]


def _meta_bin(tree: Tree) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """What torchvision made of the devkit: words by id, and the id of each validation image."""
    import io

    import torch

    words, ids = torch.load(io.BytesIO(read(tree, "meta.bin")), weights_only=True)
    return words, ids


def _words(tree: Tree) -> dict[str, str]:
    """WordNet id -> words, by what is there."""
    if (meta := _devkit(tree, "meta.mat")) is not None:
        return {wnid: words for _, wnid, words in _synsets(tree, meta)}
    if tree.has("meta.bin"):
        return {wnid: ", ".join(words) for wnid, words in _meta_bin(tree)[0].items()}
    if (name := first(tree, _WORDS)) is None:
        return {}
    found = (re.fullmatch(r"(n\d{8})\s+(.+)", line) for line in lines(tree, name))
    return {match[1]: match[2] for match in found if match}
