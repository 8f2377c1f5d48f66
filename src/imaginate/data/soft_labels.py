"""The shares of several classes that a mixed image has, as an export of a run holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaginate.data.columns import is_export
from imaginate.limits import parse_json

COLUMN = "soft_label"
WHOLE = 1e-4  # what the shares of a soft label may miss 1 by


def column_in(columns: Sequence[str]) -> str | None:
    """The column of soft labels in a table that `export` wrote; None in any other table."""
    return COLUMN if COLUMN in columns and is_export(columns) else None


class SoftLabels:
    """Reads soft labels into the classes of a source. `labels`: the label of each number that their shares stand
    under."""

    def __init__(self, labels: Mapping[int, int], classes: int) -> None:
        self._labels, self._classes, self._unread = labels, classes, 0

    @classmethod
    def numbered(cls, classes: int) -> SoftLabels:
        """Of a source whose labels are the numbers under which the shares stand."""
        return cls({label: label for label in range(classes)}, classes)

    def read(self, value: Any) -> tuple[float, ...] | None:
        """A list of numbers, or its JSON text, as (classes,) shares that sum to 1; None for a blank, and where a part
        is of a class that the source does not have."""
        if not (found := _listed(value)):
            return None
        shares = shares_in(found, self._labels, self._classes)
        if abs(sum(shares) - 1) < WHOLE:
            return shares
        self._unread += 1
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of soft labels that were not read."""
        if not self._unread:
            return ()
        return (f"{self._unread} mixed images are partly of classes that are not here: read under their label alone",)


def shares_in(theirs: Sequence[float], labels: Mapping[int, int], classes: int) -> tuple[float, ...]:
    """A soft label in other classes; it sums to less than 1 where a part of it is of none."""
    shares = [0.0] * classes
    for number, label in labels.items():
        if number < len(theirs):
            shares[label] += theirs[number]
    return tuple(shares)


def _listed(value: Any) -> Sequence[float]:
    if isinstance(value, str):
        try:
            value = parse_json(value) if value else None
        except ValueError:
            return ()
    is_list = isinstance(value, list) and all(isinstance(one, (int, float)) for one in value)
    return [float(one) for one in value] if is_list else ()
