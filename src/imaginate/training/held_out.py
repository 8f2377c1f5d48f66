"""The held-out images: those of a named split, else every split of the dataset but the one that is trained on."""

from __future__ import annotations

from dataclasses import asdict, replace

from imaginate.data import Dataset, open_dataset
from imaginate.data.photometry import rendering_of
from imaginate.data.spec import READING, reading_elsewhere
from imaginate.data.urls import real_place
from imaginate.errors import DataError


def open_held_out(path: str, split: str | None, train: Dataset) -> Dataset:
    """The held-out images of a dataset, read as the training images are. Without a split: all of them, but for the
    training split where the dataset is that of the training images. DataError where another dataset has several splits,
    for nobody knows which is meant."""
    reading = {name: value for name, value in asdict(train.spec).items() if name in READING}
    if real_place(path) != real_place(train.spec.path):
        reading = {**reading_elsewhere(reading), "is_elsewhere": True}
    reading["rendered_as"] = rendering_of(train)
    if split is not None:
        return open_dataset(path, split=split, **reading)
    if real_place(path) != real_place(train.spec.path) or train.split is None:
        found = open_dataset(path, **reading)
        if found.split is not None and len(found.splits) > 1:
            raise DataError(
                f"the held-out set {path} has the splits {', '.join(found.splits)}: name one with --held-out-split, "
                "or all for all of them"
            )
        return found
    others = tuple(name for name in train.splits if name != train.split)
    if not others:
        raise DataError(
            f"the held-out set {path} is the dataset itself and has no split but {train.split}: name held-out images "
            "with --held-out"
        )
    whole = open_dataset(path, split="all", **reading)
    rest = tuple(sample for sample in whole.samples if sample.split != train.split)
    return replace(whole, samples=rest, split=", ".join(others))
