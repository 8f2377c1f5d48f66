"""The images of a folder as columns: some ten bytes an image in place of three objects. A Sample is made when it is
asked for. Whoever asks a question of all images asks it of a column (`ids_of`, `labels_of`, `splits_of`)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from imaginate.data.endings import endings
from imaginate.records import ImageSource, Sample

_BLOCK = 32  # names that share what they begin and end with
_END = b"\0"  # no file name holds it
_ANY = "surrogatepass"  # a name that is no UTF-8 has lone surrogates


class Names(Sequence[str]):
    """File names (no zero characters) in a few bytes each: neighbours in alphabetical order begin and end alike."""

    def __init__(self, names: Iterable[str]) -> None:
        self._bytes, self._starts, self._count = bytearray(), array("Q"), 0
        rest = iter(names)
        while block := [name.encode("utf-8", _ANY) for name in islice(rest, _BLOCK)]:
            head = _common_front(block)
            middles = [name[len(head) :] for name in block]
            dot = middles[0].rfind(b".")
            tail = middles[0][dot:] if dot >= 0 else b""
            if tail and all(middle.endswith(tail) for middle in middles):
                middles = [middle[: -len(tail)] for middle in middles]
            else:
                tail = b""
            self._starts.append(len(self._bytes))
            self._bytes += _END.join((head, tail, *middles))
            self._count += len(block)
        self._starts.append(len(self._bytes))
        self._last: tuple[int, list[bytes]] = (-1, [])

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        block, place = divmod(range(len(self))[index], _BLOCK)
        at, parts = self._last  # one read: another thread may put another block there
        if at != block:
            parts = self._parts(block)
            self._last = (block, parts)
        return (parts[0] + parts[place + 2] + parts[1]).decode("utf-8", _ANY)

    def __iter__(self) -> Iterator[str]:
        return self.between(0, len(self))

    def between(self, first: int, end: int) -> Iterator[str]:
        """Those from one place to another, which is left out."""
        for block in range(first // _BLOCK, -(-end // _BLOCK)):
            head, tail, *middles = self._parts(block)
            skipped = block * _BLOCK
            for middle in middles[max(0, first - skipped) : end - skipped]:
                yield (head + middle + tail).decode("utf-8", _ANY)

    def endings(self) -> set[str]:
        """The different endings of the names."""
        found: set[str] = set()
        for block in range(len(self._starts) - 1):
            head, tail, *middles = self._parts(block)
            ends = [tail] if tail else [head + middle for middle in middles]
            found |= endings(end.decode("utf-8", _ANY) for end in ends)
        return found

    def _parts(self, block: int) -> list[bytes]:
        """What all names of the block begin with and end with, and what stands between in each."""
        return bytes(self._bytes[self._starts[block] : self._starts[block + 1]]).split(_END)


class FileSamples(Sequence[Sample]):
    """Images by their names, as samples. `labels` and `splits`: one for each name. `id_of` and `source` make of a name
    the id and the place of the image."""

    def __init__(
        self,
        names: Iterable[str],
        labels: Iterable[int],
        splits: Iterable[str | None],
        *,
        id_of: Callable[[str], str],
        source: Callable[[str], ImageSource],
    ) -> None:
        self._names, self._id_of, self._source = Names(names), id_of, source
        self._labels = _narrow(labels)
        number: dict[str | None, int] = {}
        self._splits = _narrow(number.setdefault(split, len(number)) for split in splits)
        self._split_names = list(number)
        self._rows: range | array[int] = range(len(self._names))  # a range has no gaps

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> FileSamples: ...

    def __getitem__(self, index: int | slice) -> Sample | FileSamples:
        if isinstance(index, slice):
            return self.only(range(len(self))[index])
        row = self._rows[index]
        return self._sample(self._names[row], row)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._sample, self._chosen_names(), self._rows)

    def __eq__(self, other: object) -> bool:
        """Whether the other one holds equal samples."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def only(self, places: Iterable[int]) -> FileSamples:
        """Those at these places, in their order."""
        some = FileSamples.__new__(FileSamples)
        some.__dict__.update(self.__dict__)
        if isinstance(places, range) and places.step == 1 and isinstance(self._rows, range):
            some._rows = self._rows[places.start : places.stop]
        else:
            some._rows = array("i", map(self._rows.__getitem__, places))
        return some

    def ids(self) -> Iterator[str]:
        """The id of each."""
        return map(self._id_of, self._chosen_names())

    def endings(self) -> set[str]:
        """The different endings of the ids."""
        if self._rows == range(len(self._names)):
            return set(map(self._id_of, self._names.endings()))
        return endings(self.ids())

    def labels(self) -> Sequence[int]:
        """The label of each."""
        rows = self._rows
        if isinstance(rows, range):
            return self._labels[rows.start : rows.stop]
        return array("i", map(self._labels.__getitem__, rows))

    def splits(self) -> Iterator[str | None]:
        """The split of each."""
        return map(self._split, self._rows)

    def _chosen_names(self) -> Iterator[str]:
        rows = self._rows
        if isinstance(rows, range):
            return self._names.between(rows.start, rows.stop)
        return map(self._names.__getitem__, rows)

    def _split(self, row: int) -> str | None:
        return self._split_names[self._splits[row]]

    def _sample(self, name: str, row: int) -> Sample:
        return Sample(id=self._id_of(name), label=self._labels[row], source=self._source(name), split=self._split(row))


def _common_front(names: Sequence[bytes]) -> bytes:
    """What all names begin with."""
    low, high = min(names), max(names)
    count = next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    return low[:count]


def _narrow(numbers: Iterable[int]) -> array[int]:
    """In two bytes each where that is enough."""
    wide = array("i", numbers)
    return array("H", wide) if max(wide, default=0) < 2**16 else wide


def only(samples: Sequence[Sample], places: Iterable[int]) -> Sequence[Sample]:
    """The samples at these places, in their order."""
    return samples.only(places) if isinstance(samples, FileSamples) else [samples[place] for place in places]


def ids_of(samples: Sequence[Sample]) -> Iterable[str]:
    """The id of each sample."""
    return samples.ids() if isinstance(samples, FileSamples) else (sample.id for sample in samples)


def endings_of(samples: Sequence[Sample]) -> set[str]:
    """The different endings of the ids."""
    return samples.endings() if isinstance(samples, FileSamples) else endings(sample.id for sample in samples)


def labels_of(samples: Sequence[Sample]) -> Iterable[int]:
    """The label of each sample."""
    return samples.labels() if isinstance(samples, FileSamples) else (sample.label for sample in samples)


def splits_of(samples: Sequence[Sample]) -> Iterable[str | None]:
    """The split of each sample."""
    return samples.splits() if isinstance(samples, FileSamples) else (sample.split for sample in samples)
