"""What a run will make, before it makes anything: units of work, cut into shards that are committed one by one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from imaginate.data import Dataset, conflicts, load, sha256
from imaginate.data.digital_source import source_in
from imaginate.data.labelling import as_line
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.errors import DataError, ImageError
from imaginate.files import short_hash
from imaginate.records import DigitalSource, LabelSpace, Sample
from imaginate.select import allocate


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


@dataclass(frozen=True)
class Plan:
    """Everything that a worker needs to know of the run, in memory proportional to the number of seeds alone.

    `is_grey`: all seeds are without colour, and copies that could be in colour are to be so too. `notes`: what the
    reader of the dataset noticed. `generated`: the seeds (by index) whose files say that a model made them. `run_id`:
    what the run is called in the files that it writes; without one, they say nothing. `grows`: rows of a smaller
    run are there, and only the rest is made.
    """

    labels: LabelSpace
    samples: Sequence[Sample]
    hashes: tuple[str, ...]
    shards: tuple[tuple[Unit, ...], ...]
    skipped: tuple[tuple[str, str], ...] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    is_grey: bool = False
    notes: tuple[str, ...] = ()
    generated: Mapping[int, DigitalSource] = field(default_factory=dict)
    run_id: str = ""
    grows: bool = False

    @cached_property
    def data_fingerprint(self) -> str:
        """A hash of the label space and of every seed image's id, label and bytes."""
        rows = [[s.id, s.label, h] for s, h in zip(self.samples, self.hashes, strict=True)]
        return short_hash([list(self.labels.names), rows])

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each seed image of a model, by its id."""
        return {self.samples[place].id: place for place in self.generated}

    @property
    def seed_lines(self) -> tuple[str, ...]:
        """A line a seed image: the hash of its bytes, and its id."""
        return tuple(f"{h}  {as_line(s.id)}" for s, h in zip(self.samples, self.hashes, strict=True))

    @property
    def wanted(self) -> int:
        """The number of new images that the run aims at."""
        return sum(unit.wanted for shard in self.shards for unit in shard)


def make_plan(
    recipe: ResolvedRecipe, dataset: Dataset, seen: Callable[[], None] = lambda: None, *, patience: float = math.inf
) -> Plan:
    """Read every seed once (bytes only), set aside what cannot be used, and cut the rest into shards.

    `seen` is called after every image that was read. After `patience` seconds the others are taken to be usable: such a
    plan says what a run would make, and none can begin with it.
    """
    samples, hashes, generated, skipped = _usable(dataset, seen, patience)
    if recipe.method.starts_from == "class":
        units = _class_units(recipe, dataset.labels, samples, whole="pool" in recipe.method.needs)
    else:
        units = _sample_units(recipe, len(dataset.labels), samples)
    shards = tuple(_cut(units, recipe.expand.shard))
    counts = _counts(dataset.labels, samples, units)
    grey = recipe.may_colour and _are_grey(samples)
    return Plan(dataset.labels, samples, tuple(hashes), shards, tuple(skipped), counts, grey, dataset.notes, generated)


def _usable(
    dataset: Dataset, seen: Callable[[], None], patience: float
) -> tuple[list[Sample], list[str], dict[int, DigitalSource], list[tuple[str, str]]]:
    """Samples, their content hashes, which of them a model made, and (id, reason) of what is skipped: unreadable, or
    under two labels at once."""
    skipped = [(s.id, s.reason) for s in dataset.skipped]
    digests: list[str] = []
    marks: list[DigitalSource | None] = []
    start = time.perf_counter()
    for number, sample in enumerate(dataset.samples):
        if time.perf_counter() - start > patience:
            digests.append(f"not read: {number}")
            marks.append(None)
            continue
        try:
            data = sample.source.read()
            digest, mark = sha256(data), source_in(data)
        except ImageError as error:
            digest, mark = "", None
            skipped.append((sample.id, str(error)))
        digests.append(digest)
        marks.append(mark)
        seen()
    clash = conflicts(dataset.samples, digests, dataset.labels)
    skipped += clash.items()
    rows = zip(dataset.samples, digests, marks, strict=True)
    used = [(s, d, mark) for s, d, mark in rows if d and s.id not in clash]
    if not used:
        raise DataError(f"{dataset.name}: no usable image; {len(skipped)} skipped{_first(skipped)}")
    generated = {index: mark for index, (_, _, mark) in enumerate(used) if mark is not None}
    return [s for s, _, _ in used], [d for _, d, _ in used], generated, skipped


def _are_grey(samples: Sequence[Sample]) -> bool:
    """Whether no seed image has a colour; decoding stops at the first that has one."""
    from imaginate.ops.grey import is_grey

    for sample in samples:
        try:
            if not is_grey(load(sample)):
                return False
        except ImageError:  # it is skipped, and counted, where its copies would be made
            continue
    return True


def _first(skipped: Sequence[tuple[str, str]]) -> str:
    return f", the first ({skipped[0][0]}) because: {skipped[0][1]}" if skipped else ""


def _sample_units(recipe: ResolvedRecipe, classes: int, samples: Sequence[Sample]) -> list[Unit]:
    sizes = _sizes(classes, samples)
    per_sample = allocate(sizes, recipe.expand.copies, recipe.select)
    seen = [0] * classes
    units = []
    for index, sample in enumerate(samples):
        copies = _share(per_sample[sample.label], sizes[sample.label], seen[sample.label])
        seen[sample.label] += 1
        units.append(Unit(sample.id, sample.label, index, 0, copies, copies))
    return units


def _share(total: int, size: int, place: int) -> int:
    """An even share of a class's total for its `place`-th seed: shares differ by at most one."""
    return total * (place + 1) // size - total * place // size


def _class_units(recipe: ResolvedRecipe, labels: LabelSpace, samples: Sequence[Sample], *, whole: bool) -> list[Unit]:
    sizes = _sizes(len(labels), samples)
    if recipe.expand.per_class is not None:
        most, to = recipe.expand.per_class, recipe.select.balance_to
        totals = [most if to is None else min(most, max(0, to - size)) for size in sizes]
    else:
        totals = allocate(sizes, recipe.expand.copies, recipe.select)
    units = []
    if recipe.write.originals != "none":
        units = [Unit(s.id, s.label, index) for index, s in enumerate(samples)]
    for label, total in enumerate(totals):
        step = total if whole else recipe.expand.shard
        for start in range(0, total, max(1, step)):
            stop = min(start + step, total)
            units.append(Unit(f"class/{labels[label].name}", label, None, start, stop, total))
    return units


def _sizes(classes: int, samples: Sequence[Sample]) -> list[int]:
    sizes = [0] * classes
    for sample in samples:
        sizes[sample.label] += 1
    return sizes


def _cut(units: Sequence[Unit], limit: int) -> Iterator[tuple[Unit, ...]]:
    shard: list[Unit] = []
    weight = 0
    for unit in units:
        cost = max(1, unit.wanted)
        if shard and weight + cost > limit:
            yield tuple(shard)
            shard, weight = [], 0
        shard.append(unit)
        weight += cost
    if shard:
        yield tuple(shard)


def _counts(labels: LabelSpace, samples: Sequence[Sample], units: Sequence[Unit]) -> dict[str, dict[str, int]]:
    counts = {name: {"seeds": 0, "new": 0} for name in labels.names}
    for sample in samples:
        counts[labels[sample.label].name]["seeds"] += 1
    for unit in units:
        counts[labels[unit.label].name]["new"] += unit.wanted
    return counts
