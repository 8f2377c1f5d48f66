"""All that a study reads, opened, decoded once and checked: originals, held-out images, runs, more real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from imaginate.data import Dataset, DataSpec, load, open_dataset
from imaginate.errors import DataError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.leaks import Screen
from imaginate.evaluation.protocol import Protocol
from imaginate.progress import Bar, bar
from imaginate.records import LabelSpace
from imaginate.training.augment import stored_size
from imaginate.training.leaks import overlap
from imaginate.training.lineage import RunFacts, read_run
from imaginate.training.parts import aligned, some
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run's new images; `usable` leaves out what could not be read and what overlaps the held-out set;
    `shows` are pairs (row, row of the images that validation comes from): images without a seed that look the same."""

    facts: RunFacts
    store: PixelCache
    usable: np.ndarray
    dropped: Mapping[str, int]
    shows: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the arms are composed from. `held_rows` are the held-out images that are measured."""

    name: str
    labels: LabelSpace
    train: PixelCache
    held: PixelCache
    held_rows: np.ndarray
    validation: PixelCache | None
    real: PixelCache | None
    runs: Mapping[str, Run]
    leak: Mapping[str, object]
    real_dropped: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = field(default=())


def gather(protocol: Protocol, arms: list[Arm], cache: Path, *, show: bool = True) -> Material:
    """Open, decode and check everything. Raises DataError in one line for whatever would spoil the comparison."""
    spec = DataSpec(
        path=protocol.data, split=protocol.split, shots=protocol.shots, fraction=protocol.fraction,
        origin="all", subset_seed=protocol.subset_seed,
    )  # fmt: skip
    train = open_dataset(spec)
    held = aligned(_held_out(protocol, train), train, "held-out")
    _every_class(train, held)
    validation = real = None
    if protocol.validation_split:
        validation = aligned(open_dataset(protocol.data, split=protocol.validation_split), train, "validation")
    if any(arm.kind == "real" for arm in arms):
        real = _more_real(protocol, train)
    facts = {arm.path: read_run(arm.path, [s.id for s in train.samples]) for arm in arms if arm.path}
    news = {path: aligned(open_dataset(path, origin="synthetic"), train, f"run {path}") for path in facts}
    total = sum(len(d) for d in (train, held, validation, real, *news.values()) if d is not None)
    with bar("reading images", total, show=show) as progress:
        decode = _decoder(protocol, train, cache, progress)
        stores = {path: decode(data) for path, data in news.items()}
        originals, outside = decode(train), decode(held)
        inside, more = (decode(d) if d is not None else None for d in (validation, real))
    return _checked(protocol, train, originals, outside, inside, more, facts, stores)


def _decoder(protocol: Protocol, train: Dataset, cache: Path, progress: Bar) -> Callable[[Dataset], PixelCache]:
    def decode(data: Dataset) -> PixelCache:
        return build_pixel_cache(
            data.samples, cache, size=stored_size(protocol.size), classes=len(train.labels), load=load,
            advance=progress.advance,
        )  # fmt: skip

    return decode


def _checked(
    protocol: Protocol,
    train: Dataset,
    originals: PixelCache,
    outside: PixelCache,
    inside: PixelCache | None,
    more: PixelCache | None,
    facts: Mapping[str, RunFacts],
    stores: Mapping[str, PixelCache],
) -> Material:
    """The overlaps of everything with everything that must be apart, and what could not be read, counted."""
    screen = Screen(protocol, outside)
    rows, leak = screen.originals(originals)
    kept = {path: screen.run(path, store, rows) for path, store in stores.items()}
    inside, leak["validation"] = screen.validation(inside, originals)
    more, real = screen.more_real(more, originals, inside)
    against = inside if inside is not None else originals
    runs = {
        path: Run(
            facts=facts[path], store=store, usable=kept[path].usable, dropped=kept[path].dropped,
            shows=_orphans_show(store, facts[path], against),
        )
        for path, store in stores.items()
    }  # fmt: skip
    leak |= {"runs": {path: one.told for path, one in kept.items()}, "real": real or None}
    named = {"the training set": originals, "the held-out set": outside, **stores}
    warnings = [
        f"{len(store.skipped)} images of {name} could not be read ({_reasons(store)})"
        for name, store in named.items()
        if store.skipped
    ]
    return Material(
        name=train.name, labels=train.labels, train=originals, held=outside, held_rows=rows, validation=inside,
        real=more, real_dropped=real, runs=runs, leak=leak, warnings=tuple(warnings),
    )  # fmt: skip


def _orphans_show(store: PixelCache, facts: RunFacts, against: PixelCache) -> tuple[tuple[int, int], ...]:
    """(row of the run, row of what validation images come from): new images that name no seed (retrieved, prompted) and
    show one of those images."""
    orphan = np.array([not facts.parents.get(i) for i in store.ids], bool)
    return tuple(overlap(store.only(orphan), against).pairs) if orphan.any() else ()


def _reasons(store: PixelCache) -> str:
    reasons = list(store.skipped.values())
    return ", ".join(f"{reason}: {reasons.count(reason)}" for reason in sorted(set(reasons)))


def _every_class(train: Dataset, held: Dataset) -> None:
    """Each class must be on both sides: otherwise a mean over classes means something else in each arm."""
    for data, what in (
        (train, f"the training set ({train.spec.path})"),
        (held, f"the held-out set ({held.spec.path})"),
    ):
        missing = [name for name, count in data.counts().items() if count == 0]
        if missing:
            raise DataError(f"{what} has no image of {len(missing)} classes: {some(missing)}")


def _held_out(protocol: Protocol, train: Dataset) -> Dataset:
    """The held-out images; split `rest` means those of the training split that shots or fraction left out."""
    if protocol.held_out_split != "rest":
        return open_dataset(protocol.held_out, split=protocol.held_out_split)
    return _rest(protocol, train, "held-out split 'rest'")


def _more_real(protocol: Protocol, train: Dataset) -> Dataset:
    """More real images for real:N: a named dataset, or what shots and fraction left out of the training split."""
    if protocol.real or protocol.real_split:
        return aligned(open_dataset(protocol.real or protocol.data, split=protocol.real_split), train, "real")
    return _rest(protocol, train, "real:N, without --real or --real-split,")


def _rest(protocol: Protocol, train: Dataset, what: str) -> Dataset:
    if protocol.shots is None and protocol.fraction is None:
        raise DataError(f"{what} needs --shots or --fraction: it is what they leave out")
    whole = open_dataset(protocol.data, split=protocol.split)
    taken = {sample.id for sample in train.samples}
    rest = tuple(sample for sample in whole.samples if sample.id not in taken)
    if not rest:
        raise DataError(f"{what} is empty: shots or fraction leaves no image out")
    return replace(whole, samples=rest)
