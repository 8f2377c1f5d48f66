"""Split names: `val`, `valid`, `validation` and `dev` are one split, in folder, file and key names alike.

Folders have more names for them: `training_set`, `seg_train`, `Validation Images`, `test1`, `fold_3`, `holdout`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from imaginate.errors import DataError

_WORDS = {
    "train": "train", "training": "train", "trn": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
_ORDER = {"train": 0, "validation": 1, "test": 2}
UNLABELLED = "unlabeled"
_FOLDER_WORDS = {
    **_WORDS,
    "trainval": "train", "devel": "validation", "validate": "validation", "eval": "test", "evaluation": "test",
    "holdout": "holdout", "heldout": "holdout",
    **dict.fromkeys(("unlabeled", "unlabelled", "unsup", "unsupervised", "pred", "predict", "inference"), UNLABELLED),
}  # fmt: skip
_NUMBERED = ("fold", "cv")
# What stands next to a split's word in the name of a folder, and names no class.
_FILLERS = frozenset({
    "set", "sets", "image", "images", "img", "imgs", "data", "dataset", "datasets", "split", "splits", "part",
    "parts", "file", "files", "photo", "photos", "picture", "pictures", "pic", "pics", "sample", "samples",
    "folder", "folders", "dir", "jpg", "jpeg", "png", "seg", "raw", "resized", "cropped", "crop", "crops",
    "cleaned", "clean", "processed", "augmented", "aug", "patches", "tiles", "public", "private", "new", "final",
    "original", "full", "small", "mini", "all", "subset", "stage", "stg", "class", "classes", "the", "of",
})  # fmt: skip
# What stands in the name of a folder that is one part of a set: `images_001`, `HAM10000_images_part_1`, `batch2`.
_PARTS = frozenset({
    "part", "parts", "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics",
    "file", "files", "folder", "folders", "dir", "data", "dataset", "set", "subset", "batch", "chunk", "shard",
    "disk", "disc", "vol", "volume", "archive", "zip", "jpg", "jpeg", "png",
})  # fmt: skip
_SHARD = re.compile(r"[-_.]?\d{1,8}(?:-of-\d{1,8})?$")


def canonical(name: str) -> str:
    """`Val` -> `validation`; a name that is none of the usual ones stays as it is."""
    return _WORDS.get(name.strip().lower(), name.strip())


def known(name: str) -> str | None:
    """The usual split that a folder or key name stands for, or None."""
    return _WORDS.get(name.strip().lower())


@dataclass(frozen=True, slots=True)
class FolderName:
    """A folder's name that holds a split's word: the split, and what else it says (`cars` of `cars_train`)."""

    split: str
    rest: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def in_folder_name(name: str) -> FolderName | None:
    """The split in a folder's name; None where it holds no word, or several words, of splits."""
    words = _words_in(name)
    found = [word for word in words if word in _FOLDER_WORDS]
    numbered = [word for word in words if word in _NUMBERED]
    numbers = [word for word in words if word.isdigit()]
    if not found and len(numbered) == 1 and len(numbers) == 1 and len(words) == 2:
        return FolderName(f"fold{int(numbers[0])}")
    meant = {_FOLDER_WORDS[word] for word in found}
    split = "train" if meant == {"train", "validation"} and len(found) == 2 else next(iter(meant), "")
    if not found or (len(found) > 1 and meant != {"train", "validation"}):
        return None
    rest = (word for word in words if word not in found and word not in _FILLERS and not word.isdigit())
    return FolderName(split, tuple(word for word in rest if len(word) > 1 or not word.isascii()))


def of_folder(name: str) -> str | None:
    """The split that a folder's whole name stands for, `training_set` as `train`; None for other names."""
    found = in_folder_name(name)
    return found.split if found is not None and not found.rest else None


def is_filler(name: str) -> bool:
    """Whether a folder's name says nothing of its content: `images`, `data`, `jpg`."""
    words = _words_in(name)
    return bool(words) and all(word in _FILLERS for word in words)


def are_parts(names: Iterable[str]) -> bool:
    """Whether folders are parts of one set by their names, and no classes: `images_001`, `images_002`; all alike but
    for a number, or of such words alone."""
    words = [_words_in(name) for name in names]
    bare = [tuple(word for word in own if not word.isdigit()) for own in words]
    are_alike = len(set(bare)) == 1 and all(len(own) > len(left) for own, left in zip(words, bare, strict=True))
    some_part = bool(bare) and all(not _PARTS.isdisjoint(left) for left in bare)
    return some_part and (are_alike or all(_PARTS.issuperset(left) for left in bare))


def _words_in(name: str) -> list[str]:
    """`TrainImages`, `train-images`, `trainimages2` -> train, images[, 2]."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"(?i)(hold|held)[-_. ]?out", "holdout", name))
    words = re.findall(r"[^\W\d_]+|\d+", spaced.lower())
    return [part for word in words for part in _parted(word)]


def _parted(word: str) -> list[str]:
    """`trainingset` -> training, set; other words whole."""
    for start in sorted(_FOLDER_WORDS, key=len, reverse=True):
        if word.startswith(start) and word[len(start) :] in _FILLERS:
            return [start, word[len(start) :]]
    return [word]


def of_file(stem: str) -> str | None:
    """The split in a file's stem: `train-00000-of-00004`, `val`, `my-data-test_003`; None where there is none."""
    bare = _SHARD.sub("", stem)
    return known(bare) or known(re.split(r"[-_.]", bare)[-1]) or known(re.split(r"[-_.]", bare)[0])


def of_table(stem: str) -> str | None:
    """The split in a table's stem: `train`, `train_classes`, `trainLabels`, `testlabels`; None where there is none."""
    spaced = re.sub(r"(?i)(?<=[a-z])(labels?|annotations?|classes|metadata|list|info)", r"_\1", stem)
    found = of_file(stem) or (named.split if (named := in_folder_name(spaced)) is not None else None)
    return found if found in _ORDER else None


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Train, validation, test, then the others by name."""
    return tuple(sorted(set(names), key=lambda name: (_ORDER.get(name, 3), name)))


def choose(splits: Iterable[str], wanted: str | None) -> str | None:
    """The split to read: the wanted one, else `train` where there is one, else None (everything)."""
    there = ordered(splits)
    if wanted is None:
        return "train" if "train" in there else None
    if wanted == "all":
        return None
    name = next((name for name in (wanted, canonical(wanted), of_folder(wanted)) if name in there), None)
    if name is None:
        known_ones = f"there is {', '.join(there)}" if there else "this source has none"
        raise DataError(f"there is no split {wanted!r}; {known_ones}")
    return name
