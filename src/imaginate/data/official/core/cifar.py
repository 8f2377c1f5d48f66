"""The files of CIFAR-10 and CIFAR-100: pickles of Python, or bare bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imaginate.data.official.core.pickles import unpickled
from imaginate.data.official.core.published import Row
from imaginate.data.official.core.spans import spans
from imaginate.data.official.core.tree import Tree, read
from imaginate.data.sources.array_row import ArrayRow
from imaginate.data.sources.raw import RawSource
from imaginate.errors import DataError

PIXELS = 3 * 32 * 32


def pickled_rows(tree: Tree, files: Mapping[str, str], keys: Sequence[str]) -> list[Row]:
    """The images of pickled batches (file -> split); the labels are under the first of the keys that is there."""
    rows: list[Row] = []
    for name, split in files.items():
        if not tree.has(name):
            continue
        batch = unpickled(read(tree, name))
        labels = next((batch[key] for key in keys if key in batch), None)
        if labels is None or len(labels) != len(batch["data"]):
            raise DataError(f"{name} has no label for each image")
        source = tree.source(name)
        rows += [Row(f"{name}/{n}", int(v), split, ArrayRow(source, "cifar", n)) for n, v in enumerate(labels)]
    return rows


def binary_rows(tree: Tree, files: Mapping[str, str], *, before: int) -> list[Row]:
    """The images of binary batches: each follows `before` bytes of labels, of which the last is the class."""
    rows: list[Row] = []
    for name, split in files.items():
        if not tree.has(name):
            continue
        data, step = read(tree, name), before + PIXELS
        if len(data) % step:
            raise DataError(f"{name} is damaged: its length is no multiple of {step}")
        count = len(data) // step
        labels = data[before - 1 :: step]
        places = spans(tree, name, PIXELS, count, start=before, step=step)
        rows += [
            Row(f"{name}/{n}", labels[n], split, RawSource(place, (32, 32, 3), "chw")) for n, place in enumerate(places)
        ]
    return rows
