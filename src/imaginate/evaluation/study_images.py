"""All that a study reads, opened, decoded once and checked: originals, held-out images, runs, more real images."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from imaginate.data import Dataset, open_dataset
from imaginate.data.lineage import Lineage, check_made_from, lineage_of, parents_among, read_lineage
from imaginate.data.photometry import rendering_of
from imaginate.data.relatives import parted
from imaginate.data.spec import as_read, reading_elsewhere
from imaginate.errors import DataError, some
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.elsewhere import Elsewhere, Guarded, guard, is_elsewhere, open_elsewhere, remarks
from imaginate.evaluation.file_probe import probe
from imaginate.evaluation.leaks import CheckedRun, LeakCheck
from imaginate.evaluation.protocol import Protocol
from imaginate.files import derive_seed
from imaginate.progress import bar
from imaginate.records import LabelSpace, Sample
from imaginate.runs import RunFolder, Values
from imaginate.training.augment import stored_size
from imaginate.training.held_out import open_held_out
from imaginate.training.labels import align_labels, check_classes
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.settings import RULES
from imaginate.training.split import folds
from imaginate.training.training_set import Images, TrainingImages, TrainingSet


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """The new images of a finished run, with the study's dataset that it was made from.

    `seconds`: what making them took. `usable` leaves out what could not be read and what overlaps the held-out images,
    `dropped` counts the latter;
    `parents`: image -> the original images that went into it; `copies`: image -> which copy of its seed it is.
    `elsewhere`: of images that another tool made, what was found of them; `files`: whether their files alone say that
    they are new.
    """

    method: str
    seconds: float
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
    images that are measured; `sizes`: for each further image size, where the same images are at that size; `short`: the
    classes that are left out, since their augmentation fell short; `held_short`: how many held-out images these have.
    """

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
    sizes: Mapping[int, Mapping[Path, Path]] = field(default_factory=dict)
    short: tuple[int, ...] = ()
    held_short: int = 0

    def at(self, size: int, pool: TrainingSet) -> TrainingSet:
        """The same images at another size."""
        return replace(pool, stores=tuple(self.sizes[size][path] for path in pool.stores))

    def kin_of(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The family of each of the dataset's original images: its group."""
        group = self.images.dataset.group
        return tuple(group[[row]] for row in rows)

    def kin_of_new(self, run: RunImages, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The families of a run's new images: those of the originals that went into them, or one of their own."""
        place = {name: row for row, name in enumerate(self.train.ids)}
        parents = [sorted(place[name] for name in run.parents.get(run.store.ids[row], ())) for row in rows]
        group = self.images.dataset.group
        return tuple(
            np.unique(group[of]) if of else np.array([-1 - row]) for of, row in zip(parents, rows, strict=True)
        )

    def folds(self, count: int, seed: int) -> list[np.ndarray]:
        """The rows of the dataset that are held out together: each once, groups in one fold, classes spread evenly."""
        data = self.images.dataset
        usable = np.zeros(len(self.train), bool)
        usable[self.held_rows] = True
        fold = folds(self.train.label, usable, count, seed, group=data.group)
        found = [np.flatnonzero(fold == k) for k in range(count)]
        if not all(len(rows) for rows in found):
            raise DataError(f"folds {count} leaves a fold without an image: the dataset has too few images or groups")
        return found


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run of an arm as it is opened: its folder, who descends from whom, and its new images. `elsewhere`: another
    tool made them."""

    folder: RunFolder
    lineage: Lineage
    new: Dataset
    elsewhere: Elsewhere | None = None

    @property
    def knows_cost(self) -> bool:
        """Whether something says how long its images took."""
        return self.elsewhere is None and self.folder.method != "adopt"

    @property
    def method(self) -> str:
        """What made its images."""
        return self.folder.method if self.elsewhere is None else Path(self.elsewhere.path).name


@dataclass(frozen=True, kw_only=True)
class OpenedStudy:
    """The datasets of a study, listed, with one label space; no image has been read."""

    train: Dataset
    held_out: Dataset
    validation: Dataset | None
    real: Dataset | None
    runs: Mapping[str, _Run]

    @property
    def every(self) -> list[Dataset]:
        """All of them, each once."""
        others = [d for d in (self.validation, self.real) if d is not None]
        held_out = [] if self.held_out is self.train else [self.held_out]
        return [self.train, *held_out, *others, *(run.new for run in self.runs.values())]


def gather(
    protocol: Protocol,
    arms: Sequence[Arm],
    folder: Path,
    *,
    opened: OpenedStudy | None = None,
    sizes: Sequence[int] = (),
    progress: bool = True,
) -> StudyImages:
    """Open, decode and check everything. Raises DataError in one line for whatever would spoil the comparison.

    `sizes`: those of the classifiers' inputs, the main one first (default: the protocol's).
    """
    opened = opened or open_study(protocol, arms)
    first, *others = dict.fromkeys(sizes or [protocol.size])
    with bar("reading images", sum(map(len, opened.every)) * (1 + len(others)), show=progress) as shown:

        def decode(dataset: Dataset, size: int = first) -> PixelCache:
            return build_pixel_cache(
                dataset.samples, folder, size=stored_size(size), classes=len(opened.train.labels),
                advance=shown.advance,
            )  # fmt: skip

        caches = {id(dataset): decode(dataset) for dataset in opened.every}
        where = {
            size: {caches[id(dataset)].path: decode(dataset, size).path for dataset in opened.every} for size in others
        }
    where[first] = {cache.path: cache.path for cache in caches.values()}
    return replace(_checked(protocol, opened, arms, lambda dataset: caches[id(dataset)]), sizes=where)


def open_study(protocol: Protocol, arms: Sequence[Arm]) -> OpenedStudy:
    """List everything, without reading an image."""
    train = open_dataset(protocol.originals)
    check_classes(train)
    validation = None
    if protocol.validation_split:
        validation = align_labels(_validation(protocol, train), train, "validation")
    held_out = train
    if protocol.folds is None:
        held_out = align_labels(_held_out(protocol, train, validation), train, "held-out")
    _every_class(train, held_out)
    real = _more_real(protocol, train) if any(arm.kind == "real" for arm in arms) else None
    runs = _open_runs(arms, train)
    return OpenedStudy(train=train, held_out=held_out, validation=validation, real=real, runs=runs)


def _open_runs(arms: Sequence[Arm], train: Dataset) -> dict[str, _Run]:
    """The runs of the arms, each of them made from the training images, and the folders that other tools made."""
    kinds = {arm.path: arm.kind for arm in arms if arm.path}
    others = {path: open_elsewhere(path, train) for path, kind in kinds.items() if is_elsewhere(path, kind)}
    paths = [path for path in kinds if path not in others]
    lineages = {path: read_lineage(RunFolder(path)) for path in paths}
    theirs = lineage_of(train)
    for path, lineage in lineages.items():
        _check_made_from(path, lineage, train, theirs)
    runs = {
        path: _Run(
            folder=RunFolder(path), lineage=lineages[path],
            new=align_labels(open_dataset(path, origin="synthetic"), train, f"run {path}"),
        )
        for path in paths
    }  # fmt: skip
    runs |= {p: _Run(folder=RunFolder(p), lineage=Lineage(), new=o.data, elsewhere=o) for p, o in others.items()}
    return {path: runs[path] for path in kinds}


def _check_made_from(path: str, lineage: Lineage, train: Dataset, theirs: Lineage) -> None:
    """DataError for a run of other images, or of these in another range; one that was read in another way says how."""
    data, ours = RunFolder(path).recipe.get("data") or {}, asdict(train.spec)
    how = as_read(data)
    try:
        check_made_from(path, lineage, [sample.id for sample in train.samples], theirs)
    except DataError as problem:
        if not how or how == as_read(ours):
            raise
        raise DataError(f"{problem}; the run was read in another way: --read-as {shlex.quote(how)}") from None
    looks = ("range", "channels", "page")
    if train.format != "run" and _part(data, looks) != _part(ours, looks):
        words = f"with --read-as {shlex.quote(how)}" if how else "without --read-as"
        raise DataError(f"the seeds of the run {path} were made into pictures in another way: compare {words}")


def _part(data: Mapping[str, Any], names: Sequence[str]) -> str:
    return as_read({name: data.get(name) for name in names})


def _checked(
    protocol: Protocol, opened: OpenedStudy, arms: Sequence[Arm], cache_of: Callable[[Dataset], PixelCache]
) -> StudyImages:
    """The overlaps of everything with everything that must be apart, and what could not be read, counted."""
    train, held_out = cache_of(opened.train), cache_of(opened.held_out)
    validation, real = (None if d is None else cache_of(d) for d in (opened.validation, opened.real))
    new = {path: cache_of(run.new) for path, run in opened.runs.items()}
    check = LeakCheck(protocol, held_out, opened.held_out.split)
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
    images = TrainingImages(
        Images(opened.train, train, group_by=protocol.group_by), validation=validation,
        each_class=protocol.rules == RULES,
    )  # fmt: skip
    if protocol.folds is not None:
        rows = rows[~images.dataset.new[rows]]
    named = {"the training set": train, "the held-out set": held_out, **new}
    warnings = [
        f"{len(cache.skipped)} images of {name} could not be read ({_reasons(cache)})"
        for name, cache in named.items()
        if cache.skipped
    ]
    warnings += [text for found in guards.values() for text in remarks(found.facts)]
    if protocol.folds is None:
        warnings += parted(opened.train, opened.held_out, protocol.group_by)
    short, held_short = _short(protocol, opened, arms, checked, new), 0
    if short:
        keep = ~np.isin(np.arange(len(opened.train.labels)), short)
        if keep.sum() < 2:
            raise DataError(
                "the augmentation fell short of all classes but one: --short keep compares them all the same"
            )
        train = _of_classes(train, keep)
        validation, real = (None if c is None else _of_classes(c, keep) for c in (validation, real))
        every, rows = len(rows), rows[keep[held_out.label[rows]]]
        held_short = every - len(rows)
        checked = {p: replace(one, usable=one.usable & keep[new[p].label]) for p, one in checked.items()}
        images = TrainingImages(
            Images(opened.train, train, group_by=protocol.group_by), validation=validation,
            each_class=protocol.rules == RULES,
        )  # fmt: skip
        names = some([opened.train.labels.names[i] for i in short])
        warnings.append(
            f"{len(short)} of {len(keep)} classes are left out of training and measuring in every arm, for a run fell "
            f"short of them (--short exclude): {names}"
        )
    warnings += images.notes(images.choose(protocol.validation, 0), opened.train.labels)
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
        short=short, held_short=held_short,
    )  # fmt: skip


def _originals(train: Dataset) -> list[Sample]:
    return [sample for sample in train.samples if sample.meta.get("origin") in (None, "original")]


def _of_guard(found: Guarded) -> CheckedRun:
    """The same of images that another tool made: what shows a held-out image is left out, never a reason to stop."""
    leaked = int(found.facts["held_out"])
    return CheckedRun(
        usable=found.usable, dropped=dict(found.dropped), found={"same": 0, "near": leaked, "removed": leaked}
    )


def _of_classes(cache: PixelCache, keep: np.ndarray) -> PixelCache:
    """A store whose images of the other classes are not used."""
    return cache.only(cache.usable & keep[cache.label])


def _short(
    protocol: Protocol,
    opened: OpenedStudy,
    arms: Sequence[Arm],
    checked: Mapping[str, CheckedRun],
    new: Mapping[str, PixelCache],
) -> tuple[int, ...]:
    """The classes of which some arm's run has fewer images than it was to make (or the arm to use), where these are to
    be left out."""
    if protocol.short != "exclude":
        return ()
    labels = opened.train.labels
    originals = np.bincount([s.label for s in opened.train.samples], minlength=len(labels))
    found: set[int] = set()
    for arm in arms:
        if arm.path:
            there = np.bincount(new[arm.path].label[checked[arm.path].usable], minlength=len(labels))
            wanted = originals * arm.ratio if arm.ratio is not None else _asked(opened.runs[arm.path], originals)
            found |= set(np.flatnonzero(there < np.floor(wanted)).tolist())
    return tuple(sorted(found))


def _asked(run: _Run, originals: np.ndarray) -> np.ndarray:
    """How many new images of each class a run was asked for; one at least where nothing says."""
    expand = (run.folder.recipe.get("expand") or {}) if run.elsewhere is None else {}
    each = np.ones(len(originals))
    if expand.get("per_class"):
        return each * float(expand["per_class"])
    return np.maximum(each, originals * float(expand.get("copies") or 0))


def _run_images(
    run: _Run, images: TrainingImages, cache: PixelCache, checked: CheckedRun, guarded: Guarded | None = None
) -> RunImages:
    data, lineage = images.dataset, run.lineage if guarded is None else guarded.lineage
    own = Images(run.new, cache, checked.usable, lineage)
    own.new |= run.elsewhere is not None
    facts = run.folder.facts if run.elsewhere is None else {}
    return RunImages(
        method=run.method,
        seconds=float((facts.get("cost") or {}).get("seconds") or 0),
        store=cache,
        usable=checked.usable,
        dropped=checked.dropped,
        parents=parents_among(data.cache.ids, data.lineage, lineage),
        copies={} if guarded is not None else _copies(cache),
        images=TrainingImages(data, own, validation=images.validation, each_class=images.each_class),
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


def _held_out(protocol: Protocol, train: Dataset, validation: Dataset | None) -> Dataset:
    """The held-out images; split `rest` means those of the training split that shots or fraction left out, and that
    the validation part does not have."""
    if protocol.held_out_split != "rest":
        return open_held_out(protocol.held_out_path, protocol.held_out_split, train)
    rest = _rest(protocol, train, "held-out split 'rest'")
    taken = {s.id for s in validation.samples} if validation is not None and protocol.validation_split == "rest" else ()
    return replace(rest, samples=tuple(s for s in rest.samples if s.id not in taken), split="rest")


def _validation(protocol: Protocol, train: Dataset) -> Dataset:
    """The images of the validation split; `rest`: as many of each class as are trained on, of what shots or fraction
    left out, and always some left to be held out where those come from there too."""
    if protocol.validation_split != "rest":
        return _open(protocol, protocol.data, protocol.validation_split, train)
    rest = _rest(protocol, train, "validation split 'rest'")
    kept = []
    for label in range(len(train.labels)):
        own = sorted((s for s in rest.samples if s.label == label), key=lambda s: derive_seed("rest", s.id))
        count = sum(s.label == label for s in train.samples)
        kept += own[: min(count, len(own) // 2) if protocol.held_out_split == "rest" else count]
    return replace(rest, samples=tuple(kept))


def _more_real(protocol: Protocol, train: Dataset) -> Dataset:
    """More real images for real:N: a named dataset, or what shots and fraction left out of the training split."""
    if protocol.real or protocol.real_split:
        more = _open(protocol, protocol.real or protocol.data, protocol.real_split, train)
        return align_labels(more, train, "real")
    return _rest(protocol, train, "real:N, without --real or --real-split,")


def _open(protocol: Protocol, path: str, split: str | None, train: Dataset) -> Dataset:
    """Read as the training images are."""
    is_elsewhere = path != protocol.data
    reading = reading_elsewhere(protocol.reading) if is_elsewhere else protocol.reading
    return open_dataset(path, split=split, **reading, rendered_as=rendering_of(train), is_elsewhere=is_elsewhere)


def _rest(protocol: Protocol, train: Dataset, what: str) -> Dataset:
    if protocol.shots is None and protocol.fraction is None and protocol.imbalance is None:
        raise DataError(f"{what} needs --shots or --fraction (or --imbalance): it is what they leave out")
    whole = _open(protocol, protocol.data, protocol.split, train)
    taken = {sample.id for sample in train.samples}
    rest = tuple(sample for sample in whole.samples if sample.id not in taken)
    if not rest:
        raise DataError(f"{what} is empty: shots, fraction or imbalance leaves no image out")
    return replace(whole, samples=rest)
