"""What a run will make, before it makes anything: units of work, cut into shards that are committed one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from imaginate.data import Dataset, Digests, conflicts, load
from imaginate.data.labelling import as_line
from imaginate.data.packed import ids_of, labels_of, only
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.seed_digests import seen_in
from imaginate.engine.units import Shards, Slots, Unit
from imaginate.errors import DataError, ImageError
from imaginate.files import short_hash_of_rows
from imaginate.records import DigitalSource, LabelSpace, Sample
from imaginate.select import allocate

if TYPE_CHECKING:
    from imaginate.data.rendering import Rendering


@dataclass(frozen=True)
class Plan:
    """Everything that a worker needs to know of the run, in memory proportional to the number of seeds alone.

    `is_grey`: all seeds are without colour, and copies that could be in colour are to be so too. `notes`: what the
    reader of the dataset noticed. `generated`: the seeds (by index) whose files say that a model made them. `run_id`:
    what the run is called in the files that it writes; without one, they say nothing. `grows`: rows of a smaller
    run are there, and only the rest is made. `rendering`: how numbers of more than 8 bits become pictures.
    """

    labels: LabelSpace
    samples: Sequence[Sample]
    hashes: Sequence[str]
    shards: Sequence[tuple[Unit, ...]]
    skipped: tuple[tuple[str, str], ...] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    is_grey: bool = False
    notes: tuple[str, ...] = ()
    generated: Mapping[int, DigitalSource] = field(default_factory=dict)
    run_id: str = ""
    grows: bool = False
    rendering: Rendering | None = None

    @cached_property
    def data_fingerprint(self) -> str:
        """A hash of the label space and of every seed image's id, label and bytes."""
        each = zip(ids_of(self.samples), labels_of(self.samples), self.hashes, strict=True)
        return short_hash_of_rows(list(self.labels.names), map(list, each))

    def but(self, **changes: Any) -> Plan:
        """The plan with other values of what its seeds do not depend on: their fingerprint, once known, stays so."""
        other = replace(self, **changes)
        if "data_fingerprint" in vars(self):
            vars(other)["data_fingerprint"] = self.data_fingerprint
        return other

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each seed image of a model, by its id."""
        return {self.samples[place].id: place for place in self.generated}

    def seed_lines(self) -> Iterator[str]:
        """A line a seed image: the hash of its bytes, and its id."""
        return (f"{h}  {as_line(name)}" for name, h in zip(ids_of(self.samples), self.hashes, strict=True))

    @cached_property
    def wanted(self) -> int:
        """The number of new images that the run aims at."""
        if isinstance(self.shards, Shards):
            return sum(self.shards.wanted_by_label())
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
    shards = Shards(units, recipe.expand.shard, samples, dataset.labels)
    counts = _counts(dataset.labels, samples, shards)
    grey = recipe.may_colour and _are_grey(samples)
    return Plan(
        dataset.labels, samples, hashes, shards, tuple(skipped), counts, grey, dataset.notes, generated,
        rendering=dataset.rendering,
    )  # fmt: skip


def _usable(
    dataset: Dataset, seen: Callable[[], None], patience: float
) -> tuple[Sequence[Sample], Digests, dict[int, DigitalSource], list[tuple[str, str]]]:
    """Samples, their content hashes, which of them a model made, and (id, reason) of what is skipped: unreadable, or
    under two labels at once."""
    skipped = [(s.id, s.reason) for s in dataset.skipped]
    samples, digests = dataset.samples, Digests()
    generated: dict[int, DigitalSource] = {}
    for number, found in enumerate(seen_in(dataset, patience=patience)):
        digests.append(found.digest)
        if found.mark is not None:
            generated[number] = found.mark
        if found.problem:
            skipped.append((samples[number].id, found.problem))
        seen()
    digests.append_unknown(len(samples) - len(digests))
    clash = conflicts(samples, digests, dataset.labels)
    skipped += clash.items()
    if samples and len(skipped) == len(dataset.skipped):
        return samples, digests, generated, skipped
    names = zip(ids_of(samples), digests, strict=True)
    used = [n for n, (name, digest) in enumerate(names) if digest and name not in clash]
    if not used:
        raise DataError(f"{dataset.name}: no usable image; {len(skipped)} skipped{_first(skipped)}")
    marks = {place: generated[number] for place, number in enumerate(used) if number in generated}
    return only(samples, used), Digests(digests[n] for n in used), marks, skipped


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


def _sample_units(recipe: ResolvedRecipe, classes: int, samples: Sequence[Sample]) -> Iterator[Slots]:
    sizes = _sizes(classes, samples)
    per_sample = allocate(sizes, recipe.expand.copies, recipe.select)
    seen = [0] * classes
    for index, label in enumerate(labels_of(samples)):
        copies = _share(per_sample[label], sizes[label], seen[label])
        seen[label] += 1
        yield Slots(label, index, stop=copies, total=copies)


def _share(total: int, size: int, place: int) -> int:
    """An even share of a class's total for its `place`-th seed: shares differ by at most one."""
    return total * (place + 1) // size - total * place // size


def _class_units(
    recipe: ResolvedRecipe, labels: LabelSpace, samples: Sequence[Sample], *, whole: bool
) -> Iterator[Slots]:
    sizes = _sizes(len(labels), samples)
    if recipe.expand.per_class is not None:
        most, to = recipe.expand.per_class, recipe.select.balance_to
        totals = [most if to is None else min(most, max(0, to - size)) for size in sizes]
    else:
        totals = allocate(sizes, recipe.expand.copies, recipe.select)
    if recipe.write.originals != "none":
        yield from (Slots(label, index) for index, label in enumerate(labels_of(samples)))
    for label, total in enumerate(totals):
        step = total if whole else recipe.expand.shard
        for start in range(0, total, max(1, step)):
            stop = min(start + step, total)
            yield Slots(label, start=start, stop=stop, total=total)


def _sizes(classes: int, samples: Sequence[Sample]) -> list[int]:
    sizes = [0] * classes
    for label in labels_of(samples):
        sizes[label] += 1
    return sizes


def _counts(labels: LabelSpace, samples: Sequence[Sample], shards: Shards) -> dict[str, dict[str, int]]:
    each = zip(labels.names, _sizes(len(labels), samples), shards.wanted_by_label(), strict=True)
    return {name: {"seeds": seeds, "new": new} for name, seeds, new in each}
