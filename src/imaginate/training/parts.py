"""What one classifier is trained on, chosen by and measured on, checked before any training: nothing of the validation
part is trained on, not even a child of it, and no held-out image is among what it has learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imaginate.data import Dataset, open_dataset
from imaginate.errors import DataError
from imaginate.training.leaks import checked, measured, overlap
from imaginate.training.lineage import family
from imaginate.training.pixel_cache import PixelCache
from imaginate.training.split import split

CHILD = "child of a validation image"
COPY = "same as a validation image"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Rows of a store to train on and to validate on, and how many usable ones are in neither, by reason."""

    rows: np.ndarray
    inside: np.ndarray
    excluded: Mapping[str, int]


def choose(dataset: Dataset, store: PixelCache, share: float, seed: int) -> Choice:
    """A share of the originals of each class for validation. The new images of a run join the training part, without
    those that have a validation image among their ancestors, and without those that have no seed and show one."""
    new = np.array([s.meta.get("origin", "original") != "original" for s in dataset.samples], bool)
    rows, inside = split(store.label, store.usable & ~new, share, seed)
    fresh, excluded = store.usable & new, {}
    if len(inside) and fresh.any():
        parents = family(dataset.spec.path)
        held_back = {store.ids[i] for i in inside}
        child = fresh & np.array([not held_back.isdisjoint(parents.get(i, ())) for i in store.ids], bool)
        orphan = fresh & np.array([not parents.get(i) for i in store.ids], bool)
        copy = np.zeros(len(store), bool)
        copy[[i for i, _ in overlap(store.only(orphan), store.only(inside)).pairs]] = True
        fresh &= ~child & ~copy
        excluded = {key: int(what.sum()) for key, what in ((CHILD, child), (COPY, copy)) if what.any()}
    rows = np.union1d(rows, np.flatnonzero(fresh))
    if not len(rows):
        raise DataError("no image is left to train on")
    return Choice(rows=rows, inside=inside, excluded=excluded)


def open_held(path: str, split: str | None, train: Dataset) -> Dataset:
    """The held-out dataset with its labels renumbered by class name into the training set's label space."""
    return aligned(open_dataset(path, split=split), train, "held-out")


def aligned(data: Dataset, train: Dataset, what: str) -> Dataset:
    """The dataset with its labels, soft ones too, renumbered by class name into the training set's label space.
    DataError for images of a class that the training set lacks."""
    names, theirs = train.labels.names, data.labels.names
    strange = sorted({theirs[s.label] for s in data.samples} - set(names))
    if strange:
        raise DataError(f"{what} images have classes that the training set lacks: {some(strange)}")
    if theirs == names:
        return data
    new = {label: names.index(name) for label, name in enumerate(theirs) if name in names}
    samples = (
        replace(s, label=new[s.label], soft_label=_scattered(s.soft_label, new, len(names))) for s in data.samples
    )
    return replace(data, labels=train.labels, samples=tuple(samples))


def _scattered(soft: tuple[float, ...] | None, new: Mapping[int, int], classes: int) -> tuple[float, ...] | None:
    """A soft label under the new numbers of its classes; the share of a class that has none is spread by the others."""
    if soft is None:
        return None
    out = np.zeros(classes)
    for label, share in enumerate(soft):
        if label in new:
            out[new[label]] = share
    return tuple((out / out.sum()).tolist()) if out.sum() else None


def some(names: Sequence[str]) -> str:
    """`a, b, c, d, e and 7 more`."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def check_leak(
    store: PixelCache, used: np.ndarray, held: PixelCache, where: str, *, allow: bool, drop: bool
) -> tuple[np.ndarray, dict[str, int | bool]]:
    """The held-out rows to measure on, and what was found: DataError where a held-out image is among the `used` rows,
    unless that is allowed, or such images are dropped from the measurement."""
    found = checked(store.only(used), held, "the training images", where, tolerated=allow or drop)
    rows = measured(found, held, drop=drop)
    if not len(rows):
        raise DataError(f"no held-out image ({where}) is left to measure on")
    removed = int(held.usable.sum() - len(rows))
    return rows, {"same": len(found.same), "near": len(found.near), "removed": removed, "allowed": allow}
