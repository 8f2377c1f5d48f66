"""All that a study reads, opened, decoded once and checked: originals, held-out images, runs, more real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from imaginate.data import Dataset, DataSpec, load, open_dataset
from imaginate.data.lineage import Lineage, check_made_from, lineage_of, parents_among, read_lineage
from imaginate.errors import DataError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.leaks import CheckedRun, LeakCheck
from imaginate.evaluation.protocol import Protocol
from imaginate.progress import bar
from imaginate.records import LabelSpace
from imaginate.runs import RunFolder
from imaginate.training.augment import stored_size
from imaginate.training.held_out import check_classes, open_held_out
from imaginate.training.labels import align_labels, some
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.settings import RULES
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
class StudyImages:
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


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run of an arm as it is opened: its folder, who descends from whom, and its new images."""

    folder: RunFolder
    lineage: Lineage
    new: Dataset


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """The datasets of a study, listed, with one label space."""

    train: Dataset
    held_out: Dataset
    validation: Dataset | None
    real: Dataset | None
    runs: Mapping[str, _Run]


def gather(protocol: Protocol, arms: Sequence[Arm], folder: Path, *, progress: bool = True) -> StudyImages:
    """Open, decode and check everything. Raises DataError in one line for whatever would spoil the comparison."""
    opened = _open(protocol, arms)
    others = [d for d in (opened.validation, opened.real) if d is not None]
    news = [run.new for run in opened.runs.values()]
    every = [opened.train, opened.held_out, *others, *news]
    with bar("reading images", sum(map(len, every)), show=progress) as shown:

        def decode(dataset: Dataset) -> PixelCache:
            return build_pixel_cache(
                dataset.samples, folder, size=stored_size(protocol.size), classes=len(opened.train.labels), load=load,
                advance=shown.advance,
            )  # fmt: skip

        caches = {path: decode(run.new) for path, run in opened.runs.items()}
        train, held_out = decode(opened.train), decode(opened.held_out)
        validation, real = (decode(d) if d is not None else None for d in (opened.validation, opened.real))
    return _checked(protocol, opened, train, held_out, validation, real, caches)


def _open(protocol: Protocol, arms: Sequence[Arm]) -> _Opened:
    spec = DataSpec(
        path=protocol.data, split=protocol.split, shots=protocol.shots, fraction=protocol.fraction,
        origin="all", subset_seed=protocol.subset_seed,
    )  # fmt: skip
    train = open_dataset(spec)
    check_classes(train)
    held_out = align_labels(_held_out(protocol, train), train, "held-out")
    _every_class(train, held_out)
    validation = None
    if protocol.validation_split:
        validation = align_labels(open_dataset(protocol.data, split=protocol.validation_split), train, "validation")
    real = _more_real(protocol, train) if any(arm.kind == "real" for arm in arms) else None
    runs = _open_runs(list(dict.fromkeys(arm.path for arm in arms if arm.path)), train)
    return _Opened(train=train, held_out=held_out, validation=validation, real=real, runs=runs)


def _open_runs(paths: Sequence[str], train: Dataset) -> dict[str, _Run]:
    """The runs of the arms, each of them made from the training images."""
    lineages = {path: read_lineage(RunFolder(path)) for path in paths}
    theirs = lineage_of(train)
    for path, lineage in lineages.items():
        check_made_from(path, lineage, [sample.id for sample in train.samples], theirs)
    return {
        path: _Run(
            folder=RunFolder(path), lineage=lineages[path],
            new=align_labels(open_dataset(path, origin="synthetic"), train, f"run {path}"),
        )
        for path in paths
    }  # fmt: skip


def _checked(
    protocol: Protocol,
    opened: _Opened,
    train: PixelCache,
    held_out: PixelCache,
    validation: PixelCache | None,
    real: PixelCache | None,
    new: Mapping[str, PixelCache],
) -> StudyImages:
    """The overlaps of everything with everything that must be apart, and what could not be read, counted."""
    check = LeakCheck(protocol, held_out)
    rows, leak = check.originals(train)
    checked = {path: check.run(path, cache, rows) for path, cache in new.items()}
    validation, leak["validation"] = check.validation(validation, train)
    real, dropped = check.more_real(real, train, validation)
    leak |= {"runs": {path: one.found for path, one in checked.items()}, "real": dropped or None}
    images = TrainingImages(
        Images(opened.train, train, group_by=protocol.group_by), validation=validation,
        each_class=protocol.rules == RULES,
    )  # fmt: skip
    named = {"the training set": train, "the held-out set": held_out, **new}
    warnings = [
        f"{len(cache.skipped)} images of {name} could not be read ({_reasons(cache)})"
        for name, cache in named.items()
        if cache.skipped
    ]
    warnings += images.notes(images.choose(protocol.validation, 0), opened.train.labels)
    return StudyImages(
        name=opened.train.name, labels=opened.train.labels, train=train, held=held_out, held_rows=rows,
        validation=validation, real=real, real_dropped=dropped, images=images, leak=leak, warnings=tuple(warnings),
        runs={path: _run_images(run, images, new[path], checked[path]) for path, run in opened.runs.items()},
    )  # fmt: skip


def _run_images(run: _Run, images: TrainingImages, cache: PixelCache, checked: CheckedRun) -> RunImages:
    data = images.dataset
    own = Images(run.new, cache, checked.usable, run.lineage)
    return RunImages(
        method=run.folder.method,
        store=cache,
        usable=checked.usable,
        dropped=checked.dropped,
        parents=parents_among(data.cache.ids, data.lineage, run.lineage),
        copies={name: int(meta.get("copy") or 0) for name, meta in zip(cache.ids, cache.meta, strict=True)},
        images=TrainingImages(data, own, validation=images.validation, each_class=images.each_class),
    )


def _reasons(cache: PixelCache) -> str:
    reasons = list(cache.skipped.values())
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
        return open_held_out(protocol.held_out, protocol.held_out_split, train)
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
