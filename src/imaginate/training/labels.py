"""One label space for several datasets: labels are renumbered by the names of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from imaginate.data import Dataset
from imaginate.errors import DataError, some


def align_labels(data: Dataset, train: Dataset, what: str) -> Dataset:
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


def check_classes(data: Dataset) -> None:
    """DataError for a dataset of one class: whatever answers it is always right."""
    if len(data.labels) < 2:
        only = f" ({some(data.labels.names)})" if len(data.labels) else ""
        raise DataError(f"a classifier needs at least two classes, got {len(data.labels)}{only} in {data.spec.path}")


def _scattered(soft: tuple[float, ...] | None, new: Mapping[int, int], classes: int) -> tuple[float, ...] | None:
    """A soft label under the new numbers of its classes; the share of a class that has none is spread by the others."""
    if soft is None:
        return None
    out = np.zeros(classes)
    for label, share in enumerate(soft):
        if label in new:
            out[new[label]] = share
    return tuple((out / out.sum()).tolist()) if out.sum() else None
