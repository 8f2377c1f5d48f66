"""The units of work of a run, cut into shards, in eight bytes each however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

from imaginate.records import LabelSpace, Sample


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


class Slots(NamedTuple):
    """A unit without its key. `of`: the index of its sample, none for a class as a whole."""

    label: int
    of: int | None = None
    start: int = 0
    stop: int = 0
    total: int = 0


_MOST = 2**16  # numbers that two bytes hold


class Shards(Sequence[tuple[Unit, ...]]):
    """Units in shards of at most `limit` images (one unit at least); the units of a shard are made when it is asked
    for. The key of a unit is the id of its sample, or its class."""

    def __init__(self, units: Iterable[Slots], limit: int, samples: Sequence[Sample], labels: LabelSpace) -> None:
        self._samples, self._labels = samples, labels
        self._of = array("i")  # the index of the sample; of a class as a whole -1 less its label
        self._slots = array("H")  # the place of (start, stop, total) among the different ones, which are few
        self._ends = array("q")
        self._wanted = [0] * len(labels)
        different: dict[tuple[int, int, int], int] = {}
        weight = 0
        for label, of, start, stop, total in units:
            cost = max(1, stop - start)
            if weight and weight + cost > limit:
                self._ends.append(len(self._of))
                weight = 0
            weight += cost
            self._of.append(-1 - label if of is None else of)
            slot = different.setdefault((start, stop, total), len(different))
            if slot == _MOST:
                self._slots = array("i", self._slots)
            self._slots.append(slot)
            self._wanted[label] += stop - start
        self._different = list(different)
        if self._of:
            self._ends.append(len(self._of))

    def wanted_by_label(self) -> list[int]:
        """The number of new images of each class."""
        return list(self._wanted)

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
        of, slots = self._of[place], self._different[self._slots[place]]
        if of < 0:
            return Unit(class_key(self._labels[-1 - of].name), -1 - of, None, *slots)
        sample = self._samples[of]
        return Unit(sample.id, sample.label, of, *slots)


def class_key(name: str) -> str:
    """The key of what is made of a class."""
    return f"class/{name}"
