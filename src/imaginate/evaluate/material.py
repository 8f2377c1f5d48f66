"""All that a study reads, opened, decoded once and checked: originals, held-out images, runs, more real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from imaginate.data import Dataset, DataSpec, load, open_dataset
from imaginate.errors import DataError
from imaginate.evaluate.arms import Arm
from imaginate.train.leak import overlap
from imaginate.train.lineage import RunFacts, read_run
from imaginate.evaluate.protocol import Protocol
from imaginate.progress import Bar, bar
from imaginate.records import LabelSpace
from imaginate.train.augment import stored_size
from imaginate.train.pixels import Store, build_store


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run's new images; `usable` leaves out what could not be read and what overlaps the held-out set."""

    facts: RunFacts
    store: Store
    usable: np.ndarray
    dropped: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the arms are composed from. `held_rows` are the held-out images that are measured."""

    name: str
    labels: LabelSpace
    train: Store
    held: Store
    held_rows: np.ndarray
    validation: Store | None
    real: Store | None
    runs: Mapping[str, Run]
    leak: Mapping[str, object]
    warnings: tuple[str, ...] = field(default=())


def gather(protocol: Protocol, arms: list[Arm], cache: Path, *, show: bool = True) -> Material:
    """Open, decode and check everything. Raises DataError in one line for whatever would spoil the comparison."""
    spec = DataSpec(
        path=protocol.data, split=protocol.split, shots=protocol.shots, fraction=protocol.fraction,
        origin="all", subset_seed=protocol.subset_seed,
    )  # fmt: skip
    train = open_dataset(spec)
    held = _aligned(_held_out(protocol, train), train, "held-out")
    _every_class(train, held)
    validation = real = None
    if protocol.validation_split:
        validation = _aligned(open_dataset(protocol.data, split=protocol.validation_split), train, "validation")
    if any(arm.kind == "real" for arm in arms):
        real = _more_real(protocol, train)
    facts = {arm.path: read_run(arm.path, [s.id for s in train.samples]) for arm in arms if arm.path}
    news = {path: _aligned(open_dataset(path, origin="synthetic"), train, f"run {path}") for path in facts}
    total = sum(len(d) for d in (train, held, validation, real, *news.values()) if d is not None)
    with bar("reading images", total, show=show) as progress:
        decode = _decoder(protocol, train, cache, progress)
        stores = {path: decode(data) for path, data in news.items()}
        originals, outside = decode(train), decode(held)
        inside, more = (decode(d) if d is not None else None for d in (validation, real))
    return _checked(protocol, train, held, originals, outside, inside, more, facts, stores)


def _decoder(protocol: Protocol, train: Dataset, cache: Path, progress: Bar) -> Callable[[Dataset], Store]:
    def decode(data: Dataset) -> Store:
        return build_store(
            data.samples, cache, size=stored_size(protocol.size), classes=len(train.labels), load=load,
            advance=progress.advance,
        )  # fmt: skip

    return decode


def _checked(
    protocol: Protocol,
    train: Dataset,
    held: Dataset,
    originals: Store,
    outside: Store,
    inside: Store | None,
    more: Store | None,
    facts: Mapping[str, RunFacts],
    stores: Mapping[str, Store],
) -> Material:
    """The leak check of every training image against the held-out ones, and what could not be read, counted."""
    where = f"{protocol.held_out}, split {held.split}" if held.split else protocol.held_out
    found = overlap(originals, outside)
    if found.pairs and not (protocol.allow_leak or protocol.drop_leak):
        raise DataError(found.describe(originals, outside, "the training images", where))
    rows = np.flatnonzero(outside.usable)
    if protocol.drop_leak:
        rows = np.setdiff1d(rows, [j for _, j in found.pairs])
    runs = {}
    for path, store in stores.items():
        other = overlap(store, outside)
        if other.pairs and not (protocol.allow_leak or protocol.drop_leak):
            raise DataError(other.describe(store, outside, f"the new images of {path}", where))
        # A new image that shows a held-out one goes, unless it only repeats an original that does (then that one went).
        bad = sorted({i for i, j in other.pairs if j in set(rows.tolist())}) if protocol.drop_leak else []
        usable = store.usable.copy()
        usable[bad] = False
        runs[path] = Run(facts=facts[path], store=store, usable=usable, dropped={"shows a held-out image": len(bad)})
    if more is not None:
        more = _without(more, sorted({i for i, _ in overlap(more, outside).pairs}))
    leak = {
        "compared": list(found.compared),
        "same": len(found.same),
        "near": len(found.near),
        "removed": int(outside.usable.sum() - len(rows)),
        "examples": [[originals.ids[i], outside.ids[j]] for i, j in found.pairs[:5]],
        "allowed": protocol.allow_leak,
    }
    named = {"the training set": originals, "the held-out set": outside, **stores}
    warnings = [
        f"{len(store.skipped)} images of {name} could not be read ({_reasons(store)})"
        for name, store in named.items()
        if store.skipped
    ]
    return Material(
        name=train.name, labels=train.labels, train=originals, held=outside, held_rows=rows, validation=inside,
        real=more, runs=runs, leak=leak, warnings=tuple(warnings),
    )  # fmt: skip


def _without(store: Store, rows: list[int]) -> Store:
    """The store with these rows marked unusable: more real images never show a held-out one."""
    content = store.content.copy()
    content[rows] = 0
    return replace(store, content=content)


def _reasons(store: Store) -> str:
    reasons = list(store.skipped.values())
    return ", ".join(f"{reason}: {reasons.count(reason)}" for reason in sorted(set(reasons)))


def _aligned(data: Dataset, train: Dataset, what: str) -> Dataset:
    """The dataset with its labels renumbered by class name into the training set's label space."""
    names = train.labels.names
    used = {sample.label for sample in data.samples}
    strange = [data.labels.names[label] for label in sorted(used) if data.labels.names[label] not in names]
    if strange:
        raise DataError(f"{what} images have classes that the training set lacks: {_some(strange)}")
    if data.labels.names == names:
        return data
    new = {label: names.index(data.labels.names[label]) for label in used}
    return replace(data, labels=train.labels, samples=tuple(replace(s, label=new[s.label]) for s in data.samples))


def _every_class(train: Dataset, held: Dataset) -> None:
    """Each class must be on both sides: otherwise a mean over classes means something else in each arm."""
    for data, what in (
        (train, f"the training set ({train.spec.path})"),
        (held, f"the held-out set ({held.spec.path})"),
    ):
        missing = [name for name, count in data.counts().items() if count == 0]
        if missing:
            raise DataError(f"{what} has no image of {len(missing)} classes: {_some(missing)}")


def _held_out(protocol: Protocol, train: Dataset) -> Dataset:
    """The held-out images; split `rest` means those of the training split that shots or fraction left out."""
    if protocol.held_out_split != "rest":
        return open_dataset(protocol.held_out, split=protocol.held_out_split)
    return _rest(protocol, train, "held-out split 'rest'")


def _more_real(protocol: Protocol, train: Dataset) -> Dataset:
    """More real images for real:N: a named dataset, or what shots and fraction left out of the training split."""
    if protocol.real or protocol.real_split:
        return _aligned(open_dataset(protocol.real or protocol.data, split=protocol.real_split), train, "real")
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


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
