"""All that a study reads, opened, decoded once and checked: originals, held-out images, runs, more real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from imaginate.data import Dataset, DataSpec, load, open_dataset
from imaginate.errors import DataError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.elsewhere import Elsewhere, Guarded, guard, is_elsewhere, open_elsewhere, remarks
from imaginate.evaluation.file_probe import probe
from imaginate.evaluation.leaks import CheckedRun, LeakCheck
from imaginate.evaluation.protocol import Protocol
from imaginate.progress import bar
from imaginate.records import LabelSpace, Sample
from imaginate.runs import RunFolder, Values
from imaginate.training.augment import stored_size
from imaginate.training.labels import align_labels, check_classes, some
from imaginate.training.lineage import Lineage, check_made_from, lineage_of, parents_among, read_lineage
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.training_set import Images, TrainingImages


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """The new images of a finished run, with the study's dataset that it was made from.

    `usable` leaves out what could not be read and what overlaps the held-out images, `dropped` counts the latter;
    `parents`: image -> the original images that went into it; `copies`: image -> which copy of its seed it is.
    `elsewhere`: of images that another tool made, what was found of them; `files`: whether their files alone say that
    they are new.
    """

    method: str
    store: PixelCache
    usable: np.ndarray
    dropped: Mapping[str, int]
    parents: Mapping[str, frozenset[str]]
    copies: Mapping[str, int]
    images: TrainingImages
    elsewhere: Values | None = None
    files: Values | None = None


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
    """A run of an arm as it is opened: its folder, who descends from whom, and its new images. `elsewhere`: another
    tool made them."""

    folder: RunFolder
    lineage: Lineage
    new: Dataset
    elsewhere: Elsewhere | None = None

    @property
    def method(self) -> str:
        """What made its images."""
        return self.folder.method if self.elsewhere is None else Path(self.elsewhere.path).name


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
    runs = _open_runs(arms, train)
    return _Opened(train=train, held_out=held_out, validation=validation, real=real, runs=runs)


def _open_runs(arms: Sequence[Arm], train: Dataset) -> dict[str, _Run]:
    """The runs of the arms, each of them made from the training images, and the folders that other tools made."""
    kinds = {arm.path: arm.kind for arm in arms if arm.path}
    others = {path: open_elsewhere(path, train) for path, kind in kinds.items() if is_elsewhere(path, kind)}
    paths = [path for path in kinds if path not in others]
    lineages = {path: read_lineage(RunFolder(path)) for path in paths}
    theirs = lineage_of(train)
    for path, lineage in lineages.items():
        check_made_from(path, lineage, [sample.id for sample in train.samples], theirs)
    runs = {
        path: _Run(
            folder=RunFolder(path), lineage=lineages[path],
            new=align_labels(open_dataset(path, origin="synthetic"), train, f"run {path}"),
        )
        for path in paths
    }  # fmt: skip
    runs |= {p: _Run(folder=RunFolder(p), lineage=Lineage(), new=o.data, elsewhere=o) for p, o in others.items()}
    return {path: runs[path] for path in kinds}


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
    validation, leak["validation"] = check.validation(validation, train)
    guards = {
        path: guard(run.elsewhere, new[path], train, held_out.only(rows), validation)
        for path, run in opened.runs.items()
        if run.elsewhere is not None
    }
    checked = {
        path: _of_guard(guards[path]) if path in guards else check.run(path, cache, rows) for path, cache in new.items()
    }
    real, dropped = check.more_real(real, train, validation)
    leak |= {"runs": {path: one.found for path, one in checked.items()}, "real": dropped or None}
    images = TrainingImages(Images(opened.train, train), validation=validation)
    named = {"the training set": train, "the held-out set": held_out, **new}
    warnings = [
        f"{len(cache.skipped)} images of {name} could not be read ({_reasons(cache)})"
        for name, cache in named.items()
        if cache.skipped
    ]
    warnings += [text for found in guards.values() for text in remarks(found.facts)]
    return StudyImages(
        name=opened.train.name, labels=opened.train.labels, train=train, held=held_out, held_rows=rows,
        validation=validation, real=real, real_dropped=dropped, images=images, leak=leak, warnings=tuple(warnings),
        runs={
            path: replace(
                _run_images(run, images, new[path], checked[path], guards.get(path)),
                files=probe(_originals(opened.train), run.new.samples, protocol.size),
            )
            for path, run in opened.runs.items()
        },
    )  # fmt: skip


def _originals(train: Dataset) -> list[Sample]:
    return [sample for sample in train.samples if sample.meta.get("origin") in (None, "original")]


def _of_guard(found: Guarded) -> CheckedRun:
    """The same of images that another tool made: what shows a held-out image is left out, never a reason to stop."""
    leaked = int(found.facts["held_out"])
    return CheckedRun(
        usable=found.usable, dropped=dict(found.dropped), found={"same": 0, "near": leaked, "removed": leaked}
    )


def _run_images(
    run: _Run, images: TrainingImages, cache: PixelCache, checked: CheckedRun, guarded: Guarded | None = None
) -> RunImages:
    data, lineage = images.dataset, run.lineage if guarded is None else guarded.lineage
    own = Images(run.new, cache, checked.usable, lineage)
    own.new |= run.elsewhere is not None
    return RunImages(
        method=run.method,
        store=cache,
        usable=checked.usable,
        dropped=checked.dropped,
        parents=parents_among(data.cache.ids, data.lineage, lineage),
        copies={} if guarded is not None else _copies(cache),
        images=TrainingImages(data, own, validation=images.validation),
        elsewhere=guarded.facts if guarded is not None else None,
    )


def _copies(cache: PixelCache) -> dict[str, int]:
    return {name: int(meta.get("copy") or 0) for name, meta in zip(cache.ids, cache.meta, strict=True)}


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
