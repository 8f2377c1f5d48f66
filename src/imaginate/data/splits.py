"""Split names: `val`, `valid`, `validation` and `dev` are one split, in folder, file and key names alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from imaginate.errors import DataError

_WORDS = {
    "train": "train", "training": "train", "trn": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
_ORDER = {"train": 0, "validation": 1, "test": 2}
_SHARD = re.compile(r"[-_.]?\d{1,8}(?:-of-\d{1,8})?$")


def canonical(name: str) -> str:
    """`Val` -> `validation`; a name that is none of the usual ones stays as it is."""
    return _WORDS.get(name.strip().lower(), name.strip())


def known(name: str) -> str | None:
    """The usual split that a folder or key name stands for, or None."""
    return _WORDS.get(name.strip().lower())


def of_file(stem: str) -> str | None:
    """The split in a file's stem: `train-00000-of-00004`, `val`, `my-data-test_003`; None where there is none."""
    bare = _SHARD.sub("", stem)
    return known(bare) or known(re.split(r"[-_.]", bare)[-1]) or known(re.split(r"[-_.]", bare)[0])


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
    name = canonical(wanted)
    if name not in there:
        known_ones = f"there is {', '.join(there)}" if there else "this source has none"
        raise DataError(f"there is no split {wanted!r}; {known_ones}")
    return name
