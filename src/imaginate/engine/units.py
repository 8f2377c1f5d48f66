"""The units of work of a run, cut into shards, in twenty bytes each however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from imaginate.records import LabelSpace, Sample

_NONE = -1  # the index of a unit of a class


@dataclass(frozen=True, slots=True)
class Unit:
    """Copy slots [start, stop) of `total` for one seed sample or one class; no slots: only the original is kept."""

    key: str
    label: int
    index: int | None
    start: int = 0
    stop: int = 0
    total: int = 0

    @property
    def wanted(self) -> int:
        """The number of images to be kept."""
        return self.stop - self.start

    def copies(self) -> Iterator[int]:
        """Copy indices in the order in which they are tried: the slots first, then spare ones, endlessly.

        Spare indices never meet those of another unit of the same key.
        """
        number = 0
        while True:
            row, column = divmod(number, max(1, self.wanted))
            yield row * self.total + self.start + column
            number += 1


class Shards(Sequence[tuple[Unit, ...]]):
    """Units in shards of at most `limit` images (one unit at least); the units of a shard are made when it is asked
    for. The key of a unit is the id of its sample, or its class."""

    def __init__(self, units: Iterable[Unit], limit: int, samples: Sequence[Sample], labels: LabelSpace) -> None:
        self._samples, self._labels = samples, labels
        self._columns = tuple(array("i") for _ in range(5))  # index, label, start, stop, total
        self._ends = array("q")
        count = weight = 0
        for unit in units:
            cost = max(1, unit.wanted)
            if weight and weight + cost > limit:
                self._ends.append(count)
                weight = 0
            count, weight = count + 1, weight + cost
            values = (_NONE if unit.index is None else unit.index, unit.label, unit.start, unit.stop, unit.total)
            for column, value in zip(self._columns, values, strict=True):
                column.append(value)
        if count:
            self._ends.append(count)

    def wanted_by_label(self) -> list[int]:
        """The number of new images of each class."""
        found = [0] * len(self._labels)
        _, labels, starts, stops, _ = self._columns
        for label, start, stop in zip(labels, starts, stops, strict=True):
            found[label] += stop - start
        return found

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, number: int) -> tuple[Unit, ...]: ...

    @overload
    def __getitem__(self, number: slice) -> tuple[tuple[Unit, ...], ...]: ...

    def __getitem__(self, number: int | slice) -> tuple[Unit, ...] | tuple[tuple[Unit, ...], ...]:
        if isinstance(number, slice):
            return tuple(self[n] for n in range(*number.indices(len(self))))
        number = range(len(self))[number]
        first = self._ends[number - 1] if number else 0
        return tuple(self._unit(place) for place in range(first, self._ends[number]))

    def _unit(self, place: int) -> Unit:
        index, label, start, stop, total = (column[place] for column in self._columns)
        if index == _NONE:
            return Unit(class_key(self._labels[label].name), label, None, start, stop, total)
        return Unit(self._samples[index].id, label, index, start, stop, total)


def class_key(name: str) -> str:
    """The key of what is made of a class."""
    return f"class/{name}"
