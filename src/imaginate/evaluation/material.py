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
from imaginate.runs import RunFolder
from imaginate.training.augment import stored_size
from imaginate.training.labels import align_labels, some
from imaginate.training.lineage import Lineage, check_made_from, lineage_of, parents_among, read_lineage
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.training_set import Images, TrainingImages


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """The new images of a finished run, with the study's dataset that it was made from.

    `usable` leaves out what could not be read and what overlaps the held-out images, `dropped` counts the latter;
    `parents`: image -> the original images that went into it; `copies`: image -> which copy of its seed it is.
    """

    method: str
    store: PixelCache
    usable: np.ndarray
    dropped: Mapping[str, int]
    parents: Mapping[str, frozenset[str]]
    copies: Mapping[str, int]
    images: TrainingImages


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the arms are composed from. `images`: the dataset that every arm starts from; `held_rows`: the held-out
    images that are measured."""

    name: str
    labels: LabelSpace
    train: PixelCache
    held: PixelCache
    held_rows: np.ndarray
    validation: PixelCache | None
    real: PixelCache | None
    runs: Mapping[str, RunImages]
    images: TrainingImages
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
    held = align_labels(_held_out(protocol, train), train, "held-out")
    _every_class(train, held)
    validation = real = None
    if protocol.validation_split:
        validation = align_labels(open_dataset(protocol.data, split=protocol.validation_split), train, "validation")
    if any(arm.kind == "real" for arm in arms):
        real = _more_real(protocol, train)
    runs = _runs(arms, train)
    news = {path: align_labels(open_dataset(path, origin="synthetic"), train, f"run {path}") for path in runs}
    total = sum(len(d) for d in (train, held, validation, real, *news.values()) if d is not None)
    with bar("reading images", total, show=show) as progress:
        decode = _decoder(protocol, train, cache, progress)
        stores = {path: decode(data) for path, data in news.items()}
        originals, outside = decode(train), decode(held)
        inside, more = (decode(d) if d is not None else None for d in (validation, real))
    return _checked(protocol, train, originals, outside, inside, more, runs, news, stores)


def _runs(arms: list[Arm], train: Dataset) -> dict[str, tuple[RunFolder, Lineage]]:
    """The runs of the arms, each made from the training images."""
    found = {path: RunFolder(path) for path in dict.fromkeys(arm.path for arm in arms if arm.path)}
    lineages = {path: read_lineage(run) for path, run in found.items()}
    theirs = lineage_of(train)
    for path, lineage in lineages.items():
        check_made_from(path, lineage, [sample.id for sample in train.samples], theirs)
    return {path: (run, lineages[path]) for path, run in found.items()}


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
    read: Mapping[str, tuple[RunFolder, Lineage]],
    news: Mapping[str, Dataset],
    stores: Mapping[str, PixelCache],
) -> Material:
    """The overlaps of everything with everything that must be apart, and what could not be read, counted."""
    screen = Screen(protocol, outside)
    rows, leak = screen.originals(originals)
    kept = {path: screen.run(path, store, rows) for path, store in stores.items()}
    inside, leak["validation"] = screen.validation(inside, originals)
    more, real = screen.more_real(more, originals, inside)
    images = TrainingImages(Images(train, originals), validation=inside)
    runs = {}
    for path, (run, lineage) in read.items():
        new = Images(news[path], stores[path], kept[path].usable, lineage)
        runs[path] = _run_images(run.method, images, new, kept[path].dropped)
    leak |= {"runs": {path: one.told for path, one in kept.items()}, "real": real or None}
    named = {"the training set": originals, "the held-out set": outside, **stores}
    warnings = [
        f"{len(store.skipped)} images of {name} could not be read ({_reasons(store)})"
        for name, store in named.items()
        if store.skipped
    ]
    return Material(
        name=train.name, labels=train.labels, train=originals, held=outside, held_rows=rows, validation=inside,
        real=more, real_dropped=real, runs=runs, images=images, leak=leak, warnings=tuple(warnings),
    )  # fmt: skip


def _run_images(method: str, images: TrainingImages, new: Images, dropped: Mapping[str, int]) -> RunImages:
    data = images.dataset
    return RunImages(
        method=method,
        store=new.cache,
        usable=new.usable,
        dropped=dropped,
        parents=parents_among(data.cache.ids, data.lineage, new.lineage),
        copies={name: int(meta.get("copy") or 0) for name, meta in zip(new.cache.ids, new.cache.meta, strict=True)},
        images=TrainingImages(data, new, validation=images.validation),
    )


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
        return align_labels(open_dataset(protocol.real or protocol.data, split=protocol.real_split), train, "real")
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
