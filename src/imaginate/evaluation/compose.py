"""The training images of one arm for one seed: one validation part for every arm, and nothing of it in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from imaginate.errors import DataError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.elsewhere import VALIDATION_COPY
from imaginate.evaluation.protocol import Protocol
from imaginate.evaluation.study_images import RunImages, StudyImages
from imaginate.files import derive_seed
from imaginate.training.pixel_cache import PixelCache
from imaginate.training.training_set import CHILD, COPY, Parts, TrainingSet, join

Kin = tuple[np.ndarray, ...]


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What one arm is trained on and chosen by, and how many images of which kind that is."""

    train: TrainingSet
    validation: TrainingSet | None
    original: int
    synthetic: int = 0
    real: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0  # what making its new images took

    @property
    def images(self) -> dict[str, object]:
        """The counts as results.json has them."""
        counts = {"original": self.original, "synthetic": self.synthetic, "real": self.real}
        return {**counts, "total": sum(counts.values()), "excluded": dict(self.excluded)}


def compose(
    arm: Arm,
    material: StudyImages,
    protocol: Protocol,
    *,
    seed: int,
    resample: int,
    times: int,
    fold: np.ndarray | None = None,
) -> Composition:
    """The images of one arm for one classifier. `times`: how often `duplicate` without a number has each original;
    `fold`: the rows that are held out, where every image is held out once."""
    found, kin = _composed(arm, material, protocol, seed, resample, times, fold)
    if not protocol.needs_kin:
        kin = ()
    return replace(found, train=replace(found.train, kin=kin))


def _composed(
    arm: Arm, material: StudyImages, protocol: Protocol, seed: int, resample: int, times: int, fold: np.ndarray | None
) -> tuple[Composition, Kin]:
    """The same, and of each training image the families that it belongs to."""
    run = material.runs[arm.path] if arm.path else None
    parts = (run.images if run else material.images).choose(protocol.validation, seed, fold)
    base, classes = material.train.piece(parts.rows), len(material.labels)
    composed = Composition(
        train=join([base], classes), validation=_validation(material, parts.validation), original=len(parts.rows),
        excluded=parts.excluded,
    )  # fmt: skip
    kin = material.kin_of(parts.rows)
    if arm.kind == "subset":
        fewer = _share_of(parts.rows, material.train, arm.share or 1.0, seed)
        composed = replace(composed, train=join([material.train.piece(fewer)], classes), original=len(fewer))
        return composed, material.kin_of(fewer)
    if arm.kind == "duplicate":
        times = 1 + arm.number if arm.number else times
        return replace(composed, train=join([base] * times, classes), original=len(parts.rows) * times), kin * times
    if arm.kind == "real":
        assert material.real is not None
        more = _real_rows(arm, material.real)
        train = join([base, material.real.piece(more, soft=False)], classes)
        composed = replace(composed, train=train, real=len(more), excluded={**parts.excluded, **material.real_dropped})
        return composed, kin + tuple(np.array([-1 - row]) for row in more)
    if run is None:
        return composed, kin
    picked = _new_rows(arm, run, material, protocol, parts, resample)
    new = run.store.piece(picked)
    cost = run.seconds * len(picked) / max(1, len(run.store))
    composed = replace(composed, synthetic=len(picked), excluded=_left_out(run, parts), seconds=round(cost, 3))
    added = material.kin_of_new(run, picked)
    if arm.kind == "synthetic":
        alone = replace(join([new], classes), new=np.ones(len(picked), bool))
        return replace(composed, train=alone, original=0), added
    is_new = np.arange(len(parts.rows) + len(picked)) >= len(parts.rows)
    train = replace(join([base, new], classes), new=is_new)
    if protocol.mode == "replace":
        children = _children(run, picked, material.train.ids, parts.rows, train)
        train = replace(train, count=len(parts.rows), replace=protocol.replace_p, children=children)
    return replace(composed, train=train), kin + added


def _share_of(rows: np.ndarray, store: PixelCache, share: float, seed: int) -> np.ndarray:
    """A share of the rows of each class, one at least, another for each seed; a smaller one is part of a larger one."""
    order = sorted(rows.tolist(), key=lambda row: derive_seed("share", seed, store.ids[row]))
    ranked, labels = np.array(order), store.label[order]
    kept = [of[: max(1, round(share * len(of)))] for c in np.unique(labels) for of in [ranked[labels == c]]]
    return np.sort(np.concatenate(kept))


def _validation(material: StudyImages, rows: np.ndarray) -> TrainingSet | None:
    store = material.train
    if material.validation is not None:
        store, rows = material.validation, np.flatnonzero(material.validation.usable)
    return join([store.piece(rows, soft=False)], len(material.labels)) if len(rows) else None


def _new_rows(
    arm: Arm, run: RunImages, material: StudyImages, protocol: Protocol, parts: Parts, resample: int
) -> np.ndarray:
    """Those of the run's new images that this arm uses: all that may be, or so many for each original image."""
    rows = parts.added
    ratio = arm.ratio if protocol.resamples == 1 else (arm.ratio or 1.0)
    if ratio is not None:
        per_class = np.bincount(material.train.label[parts.rows], minlength=len(material.labels))
        rows = _quota(run, rows, per_class * ratio, None if protocol.resamples == 1 else resample)
    if not len(rows):
        raise DataError(f"arm {arm.name!r} has no new image left to train on")
    return rows


def drawn_from(arm: Arm, run: RunImages, material: StudyImages) -> np.ndarray:
    """The rows of a run that an arm draws from before anything is held back for validation: all usable ones, or so many
    for each original image."""
    rows = np.flatnonzero(run.usable)
    if arm.ratio is None:
        return rows
    data = material.images.dataset
    originals = np.bincount(material.train.label[data.usable & ~data.new], minlength=len(material.labels))
    return _quota(run, rows, originals * arm.ratio, None)


def _left_out(run: RunImages, parts: Parts) -> dict[str, int]:
    """How many new images are not trained on, by reason; of unknown seeds it is only known what an image shows."""
    if run.elsewhere is None:
        return {**run.dropped, **parts.excluded}
    shown = sum(parts.excluded.get(reason, 0) for reason in (CHILD, COPY))
    found = {**run.dropped, VALIDATION_COPY: run.dropped.get(VALIDATION_COPY, 0) + shown}
    return {reason: count for reason, count in found.items() if count}


def _quota(run: RunImages, rows: np.ndarray, wanted: np.ndarray, resample: int | None) -> np.ndarray:
    """So many rows of each class: the first copies of every seed first (so that smaller ratios are part of larger
    ones), or, for a resample, drawn at random (RET sec. 3)."""
    store = run.store
    if resample is None:
        keys = [(run.copies.get(store.ids[i], 0), derive_seed("rank", store.ids[i])) for i in rows]
    else:
        keys = [(0, derive_seed("resample", resample, store.ids[i])) for i in rows]
    order = rows[sorted(range(len(rows)), key=lambda k: keys[k])]
    kept = [
        of[: round(float(wanted[c]))] for c in np.unique(store.label[rows]) for of in [order[store.label[order] == c]]
    ]
    return np.sort(np.concatenate(kept)) if kept else rows[:0]


def _children(
    run: RunImages, picked: np.ndarray, ids: tuple[str, ...], rows: np.ndarray, pool: TrainingSet
) -> tuple[np.ndarray, ...]:
    """For each original, the pool rows that may stand in for it: its own children, else all new images of its class."""
    own: dict[str, list[int]] = {}
    for place, i in enumerate(picked):
        for parent in run.parents.get(run.store.ids[i], ()):
            own.setdefault(parent, []).append(len(rows) + place)
    new = np.arange(len(rows), len(pool.row))
    by_class = {int(c): new[pool.label[new] == c] for c in np.unique(pool.label)}
    return tuple(
        np.array(own[ids[row]]) if ids[row] in own else by_class[int(pool.label[k])] for k, row in enumerate(rows)
    )


def _real_rows(arm: Arm, store: PixelCache) -> np.ndarray:
    """Up to N more real images of each class, smaller N inside larger. None of them shows an image that the study has
    already (`Screen.more_real`)."""
    rows: list[int] = []
    for index in np.unique(store.label):
        of = np.flatnonzero(store.usable & (store.label == index))
        rows += np.random.default_rng(derive_seed("real", int(index))).permutation(of)[: arm.number].tolist()
    if not rows:
        raise DataError(f"arm {arm.name!r} found no more real image")
    return np.sort(np.array(rows, np.int64))


def uneven(arms: Mapping[str, TrainingSet], most: float = 3.0) -> list[str]:
    """A note for each arm whose classes differ in size `most` times as much as those of the originals do."""
    sizes = {name: np.unique(train.label[: len(train)], return_counts=True)[1] for name, train in arms.items()}
    if "original" not in sizes:
        return []
    own = sizes["original"]
    usual = own.max() / own.min()
    return [
        f"arm {name}: {count.min()} to {count.max()} images a class (originals {own.min()} to {own.max()}): every "
        "image counts alike, so that classes with few lose; --class-weights balanced counts every class alike"
        for name, count in sizes.items()
        if count.max() / count.min() > most * usual
    ]
