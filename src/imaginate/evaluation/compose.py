"""The training images of one arm for one seed: one validation part for every arm, and nothing of it in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from imaginate.errors import DataError
from imaginate.evaluation.arms import Arm
from imaginate.evaluation.material import Material, Run
from imaginate.evaluation.protocol import Protocol
from imaginate.files import derive_seed
from imaginate.training.parts import CHILD, COPY
from imaginate.training.split import split
from imaginate.training.training_set import TrainingSet, join


@dataclass(frozen=True, kw_only=True)
class Composition:
    """One arm's pools and what they are made of."""

    train: TrainingSet
    validation: TrainingSet | None
    original: int
    synthetic: int = 0
    real: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def images(self) -> dict[str, object]:
        """The counts as results.json has them."""
        counts = {"original": self.original, "synthetic": self.synthetic, "real": self.real}
        return {**counts, "total": sum(counts.values()), "excluded": dict(self.excluded)}


def compose(arm: Arm, material: Material, protocol: Protocol, *, seed: int, resample: int, times: int) -> Composition:
    """The pools of one arm for one unit. `times`: how often `duplicate` without a number has each original."""
    train = material.train
    share = 0.0 if material.validation is not None else protocol.validation
    rows, inside = split(train.label, train.usable, share, seed)
    validation = _validation(material, inside)
    base = (train.path, rows, train.label[rows], None if train.soft is None else train.soft[rows])
    classes = len(material.labels)
    if arm.kind == "duplicate":
        times = 1 + arm.number if arm.number else times
        return Composition(train=join([base] * times, classes), validation=validation, original=len(rows) * times)
    if arm.kind == "real":
        more = _real_rows(arm, material)
        extra = material.real
        assert extra is not None
        pool = join([base, (extra.path, more, extra.label[more], None)], classes)
        return Composition(
            train=pool, validation=validation, original=len(rows), real=len(more), excluded=material.real_dropped
        )
    if arm.path is None:
        return Composition(train=join([base], classes), validation=validation, original=len(rows))
    run = material.runs[arm.path]
    picked, excluded = _synthetic_rows(arm, run, material, protocol, rows, inside, resample)
    store = run.store
    new = (store.path, picked, store.label[picked], None if store.soft is None else store.soft[picked])
    if arm.kind == "synthetic":
        return Composition(
            train=join([new], classes), validation=validation, original=0, synthetic=len(picked), excluded=excluded
        )
    pool = join([base, new], classes)
    if protocol.mode == "replace":
        pool = replace(
            pool, count=len(rows), replace=protocol.replace_p, children=_children(run, picked, train.ids, rows, pool)
        )
    return Composition(train=pool, validation=validation, original=len(rows), synthetic=len(picked), excluded=excluded)


def _validation(material: Material, inside: np.ndarray) -> TrainingSet | None:
    store, rows = material.train, inside
    if material.validation is not None:
        store, rows = material.validation, np.flatnonzero(material.validation.usable)
    return join([(store.path, rows, store.label[rows], None)], len(material.labels)) if len(rows) else None


def _synthetic_rows(
    arm: Arm,
    run: Run,
    material: Material,
    protocol: Protocol,
    rows: np.ndarray,
    inside: np.ndarray,
    resample: int,
) -> tuple[np.ndarray, dict[str, int]]:
    """The new images that this arm uses, without children and copies of validation images; how many were left out."""
    store, excluded = run.store, Counter(run.dropped)
    held_back = {material.train.ids[i] for i in inside}
    child = np.array([not held_back.isdisjoint(run.facts.parents.get(i, ())) for i in store.ids], bool)
    copy = np.zeros(len(store), bool)
    wanted = set(inside.tolist())
    copy[[i for i, j in run.shows if material.validation is not None or j in wanted]] = True
    excluded.update({CHILD: int((child & run.usable).sum()), COPY: int((copy & ~child & run.usable).sum())})
    usable = np.flatnonzero(run.usable & ~child & ~copy)
    per_class = np.bincount(material.train.label[rows], minlength=len(material.labels))
    ratio = arm.ratio if protocol.resamples == 1 else (arm.ratio or 1.0)
    if ratio is not None:
        usable = _quota(run, usable, per_class * ratio, None if protocol.resamples == 1 else resample)
    if not len(usable):
        raise DataError(f"arm {arm.name!r} has no new image left to train on")
    return usable, {key: count for key, count in excluded.items() if count}


def _quota(run: Run, rows: np.ndarray, wanted: np.ndarray, resample: int | None) -> np.ndarray:
    """So many rows of each class: the first copies of every seed first (so that smaller ratios are part of larger
    ones), or, for a resample, drawn at random (RET sec. 3)."""
    store = run.store
    if resample is None:
        keys = [(run.facts.copies.get(store.ids[i], 0), derive_seed("rank", store.ids[i])) for i in rows]
    else:
        keys = [(0, derive_seed("resample", resample, store.ids[i])) for i in rows]
    order = rows[sorted(range(len(rows)), key=lambda k: keys[k])]
    kept = [
        of[: round(float(wanted[c]))] for c in np.unique(store.label[rows]) for of in [order[store.label[order] == c]]
    ]
    return np.sort(np.concatenate(kept)) if kept else rows[:0]


def _children(
    run: Run, picked: np.ndarray, ids: tuple[str, ...], rows: np.ndarray, pool: TrainingSet
) -> tuple[np.ndarray, ...]:
    """For each original, the pool rows that may stand in for it: its own children, else all new images of its class."""
    own: dict[str, list[int]] = {}
    for place, i in enumerate(picked):
        for parent in run.facts.parents.get(run.store.ids[i], ()):
            own.setdefault(parent, []).append(len(rows) + place)
    new = np.arange(len(rows), len(pool.row))
    by_class = {int(c): new[pool.label[new] == c] for c in np.unique(pool.label)}
    return tuple(
        np.array(own[ids[row]]) if ids[row] in own else by_class[int(pool.label[k])] for k, row in enumerate(rows)
    )


def _real_rows(arm: Arm, material: Material) -> np.ndarray:
    """Up to N more real images of each class, smaller N inside larger. None of them shows an image that the study has
    already (`Screen.more_real`)."""
    store = material.real
    assert store is not None
    rows: list[int] = []
    for index in np.unique(store.label):
        of = np.flatnonzero(store.usable & (store.label == index))
        rows += np.random.default_rng(derive_seed("real", int(index))).permutation(of)[: arm.number].tolist()
    if not rows:
        raise DataError(f"arm {arm.name!r} found no more real image")
    return np.sort(np.array(rows, np.int64))
