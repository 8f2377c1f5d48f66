"""One classifier from one dataset or run: for using it, rather than for comparing (that is `imaginate compare`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imaginate.data import Dataset, open_dataset
from imaginate.data.photometry import rendering_of
from imaginate.data.relatives import parted
from imaginate.data.rendering import Rendering
from imaginate.devices import pick_device
from imaginate.errors import ConfigError, DataError
from imaginate.files import derive_seed
from imaginate.models.extras import check_installed, packages_of
from imaginate.models.weights import backbone_weights
from imaginate.progress import Bar, bar
from imaginate.records import LabelSpace, Scalar
from imaginate.runs import Facts
from imaginate.settings import build, check, setting, with_keywords
from imaginate.training import folder
from imaginate.training.augment import stored_size
from imaginate.training.card import card, fitted_temperature
from imaginate.training.distributed import Team, assemble
from imaginate.training.held_out import open_held_out
from imaginate.training.labels import align_labels, check_classes
from imaginate.training.leaks import check_leak
from imaginate.training.learners import fit
from imaginate.training.loop import Trained
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.plan import TrainPlan
from imaginate.training.predict import predict, walk
from imaginate.training.recipes import Recipe, check_watched
from imaginate.training.result import TrainedClassifier
from imaginate.training.settings import RULES, ClassifierSettings, as_begun, default_arch
from imaginate.training.training_set import Images, Parts, TrainingImages, TrainingSet, join
from imaginate.training.trial import check_network
from imaginate.training.weighting import best_of, check_weighted, drop_resume_points

CUTS = {"shots": "so many a class", "fraction": "a share", "imbalance": "a long tail"}  # of a dataset's images


@dataclass(frozen=True, kw_only=True)
class Training(ClassifierSettings):
    """How `imaginate train` trains. Its fields are its flags."""

    origin: Literal["all", "original", "synthetic"] = setting("all", "of a run: which images to train on")
    shots: int | None = setting(
        None,
        "training images a class, as expand and compare choose them; the smaller choice is part of the larger",
        ge=1,
    )
    fraction: float | None = setting(None, "share of each class's training images", gt=0, le=1)
    subset_seed: int = setting(0, "another seed picks other images for shots, fraction and imbalance", ge=0)
    imbalance: float | None = setting(
        None, "a long tail: so many times the images in the first class as in the last, exponential in between", ge=1
    )
    held_out: str | None = setting(None, "dataset on which the classifier is measured, once")
    seed: int = setting(0, "weights, validation part and order", ge=0)

    @property
    def chosen(self) -> dict[str, Any]:
        """Which images of a dataset are trained on, and how they are read: settings of `open_dataset`."""
        split = {} if self.split is None else {"split": self.split}
        return {**split, "subset_seed": self.subset_seed, **self.cut, **self.reading}

    @property
    def cut(self) -> dict[str, Any]:
        """The settings that leave images of the dataset out, where they are given."""
        return {name: value for name in CUTS if (value := getattr(self, name)) is not None}

    def __post_init__(self) -> None:
        check(self)
        _ = self.reading
        if self.updates is not None and self.epochs is not None:
            raise ConfigError(f"give one of updates and epochs, got updates {self.updates} and epochs {self.epochs}")
        check_weighted(self)
        if self.held_out_split is not None and self.held_out is None:
            raise ConfigError(f"held_out_split {self.held_out_split!r} needs held_out: the dataset that has this split")


@with_keywords(Training)
def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    progress: bool = True,
    **settings: Scalar,
) -> TrainedClassifier:
    """Train a classifier into `out` (weights.safetensors, classes and settings in classifier.json, history.json).

    `settings` are fields of `Training`. Everything is read and checked before the first update. Descendants of
    validation images are left out of training. The same call goes on where it was stopped, and returns the result of a
    finished classifier (what classifier.json holds); other settings or other images are refused.
    """
    asked, out, device = build(Training, settings, where="train"), Path(out), pick_device(device)
    check_installed("imaginate train", ["classifier"], along=packages_of(asked.arch or default_arch(device)))
    folder.check_foreign(out)
    team, place = assemble(device)
    if folder.is_finished(out) and not os.access(out, os.W_OK):
        return TrainedClassifier(_train(asked, os.fspath(data), out, device, (team, place), progress), out)
    with team.owns(out, "train"):
        return TrainedClassifier(_train(asked, os.fspath(data), out, device, (team, place), progress), out)


def _train(asked: Training, data: str, out: Path, device: str, team_at: tuple[Team, str], progress: bool) -> Facts:
    """The same, by the owner of the folder."""
    team, place = team_at
    stored = folder.stored_recipe(out)
    if stored is not None:
        asked = replace(asked, arch=asked.arch or stored["settings"]["arch"])
        asked, before = as_begun(asked, stored["settings"])
        folder.check_settings(out, before, asdict(asked))
    asked = replace(asked, arch=asked.arch or default_arch(device))
    asked.learner.check()
    recipe = asked.adjusted_recipe()
    check_watched(recipe, asked.validation > 0)
    if not folder.is_finished(out):
        check_network(plan_of(asked, recipe, 2, 1, place))
    weights_now = backbone_weights([asked.arch]) if asked.arch else {}
    if stored is not None:
        folder.check_weights(out, stored, weights_now)
    images = _gather(data, asked, out, progress and team.main)
    if stored is not None:
        folder.check_images(out, stored, images.fingerprints)
    if folder.is_finished(out):
        return _finished(out) if team.main else {}
    check_watched(recipe, len(images.parts.validation) > 0)
    plan = plan_of(asked, recipe, len(images.labels), len(images.parts.rows), place)
    if team.main:
        facts = {"settings": asdict(asked), "data": {"path": data, **images.fingerprints}}
        facts |= {"weights": weights_now} if weights_now else {}
        folder.write_json(out / folder.RECIPE, facts)
    rows, validation = images.training_set(images.parts.rows), images.training_set(images.parts.validation)
    weights = asked.weights_new if rows.has_new else (1.0,)
    updates = plan.updates if asked.learner.sees_views else 1
    with bar(f"train {plan.arch}", updates * len(weights), unit="updates", show=progress and team.main) as shown:
        trained, weight = best_of(
            weights, rows, out, bool(len(validation)),
            lambda some, place: fit(
                plan, some, validation if len(validation) else None, place, advance=shown.advance, team=team
            ),
        )  # fmt: skip
    return _finish(asked, plan, trained, weight, images, out) if team.main else {}


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The held-out images, the rows that are measured, and what the check for leaks found."""

    store: PixelCache
    rows: np.ndarray
    leak: Mapping[str, int | bool]


@dataclass(frozen=True, kw_only=True)
class ClassifierImages:
    """All images of one training, decoded and checked."""

    labels: LabelSpace
    store: PixelCache
    parts: Parts
    new: np.ndarray
    kin: tuple[np.ndarray, ...]
    held: HeldOut | None
    rendering: Rendering | None = None
    notes: tuple[str, ...] = ()

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """Fingerprints of the images."""
        return {"train": self.store.fingerprint, "held_out": self.held.store.fingerprint if self.held else None}

    def training_set(self, rows: np.ndarray) -> TrainingSet:
        """Some of the training images."""
        joined = join([self.store.piece(rows)], len(self.labels))
        return replace(joined, new=self.new[rows], kin=tuple(self.kin[i] for i in rows if self.kin))


def check_held_out(data: str, settings: Training, out: Path, *, progress: bool) -> None:
    """What `train` would refuse of these held-out images, before anything is trained: other classes, images that are
    training images too. Decoded images stay in `out`/cache. DataError in one line."""
    _gather(data, settings, out, progress)


def _gather(data: str, settings: Training, out: Path, progress: bool) -> ClassifierImages:
    """Open, decode and check everything, the held-out images too."""
    train = open_dataset(data, origin=settings.origin, **settings.chosen)
    if settings.cut and train.format == "run":
        name = next(iter(settings.cut))
        raise DataError(f"{data} is a run: its images are cut to {CUTS[name]} when it is made (expand --{name})")
    check_classes(train)
    held = _open_held_out(settings, train)
    with bar("reading images", sum(len(d) for d in (train, held) if d is not None), show=progress) as shown:
        store = _decode(train, settings, out, shown)
        outside = None if held is None else _decode(held, settings, out, shown)
    images = TrainingImages(Images(train, store, group_by=settings.group_by), each_class=settings.rules == RULES)
    parts = images.choose(settings.validation, settings.seed)
    if not len(parts.rows):
        raise DataError("no image is left to train on")
    notes = tuple(images.notes(parts, train.labels))
    found = ClassifierImages(
        labels=train.labels, store=store, parts=parts, held=None, notes=notes, new=images.dataset.new,
        rendering=rendering_of(train), kin=() if settings.learner.sees_views else images.dataset.kin,
    )  # fmt: skip
    if outside is None or held is None:
        return found
    where = f"{settings.held_out}, split {held.split}" if held.split else str(settings.held_out)
    used = np.concatenate([parts.rows, parts.validation])
    rows, leak = check_leak(store, used, outside, where, allow=settings.allow_leak, drop=settings.drop_leak)
    notes = (*notes, *parted(train, held, settings.group_by))
    return replace(found, held=HeldOut(store=outside, rows=rows, leak=leak), notes=notes)


def _open_held_out(settings: Training, train: Dataset) -> Dataset | None:
    if settings.held_out is None:
        return None
    return align_labels(open_held_out(settings.held_out, settings.held_out_split, train), train, "held-out")


def _decode(dataset: Dataset, settings: Training, out: Path, shown: Bar) -> PixelCache:
    return build_pixel_cache(
        dataset.samples, out / "cache", size=stored_size(settings.size), classes=len(dataset.labels),
        advance=shown.advance,
    )  # fmt: skip


def plan_of(settings: Training, recipe: Recipe, classes: int, images: int, device: str) -> TrainPlan:
    learner = settings.learner
    return TrainPlan(
        arch=settings.arch or "", classes=classes, size=settings.size, recipe=recipe,
        updates=settings.updates or recipe.updates(images), epoch=max(1, -(-images // recipe.batch)),
        seed=derive_seed("train", settings.seed), pretrained=learner.starts_trained, augment=settings.online_aug,
        device=device, precision=settings.precision, statistics=(learner.mean, learner.std),
        finish=settings.finish_on_originals, head=settings.head, class_weights=settings.class_weights,
    )  # fmt: skip


def _finish(
    settings: Training, plan: TrainPlan, trained: Trained, weight: float, images: ClassifierImages, out: Path
) -> Facts:
    """Measure on the held-out images, write the classifier, the result last, drop the resume point."""
    state, parts, held = trained.state, images.parts, images.held
    result = {
        "classes": list(images.labels.names),
        "settings": asdict(settings),
        "images": len(parts.rows),
        "excluded": dict(parts.excluded),
        "unreadable": images.store.skipped,
        "image_size": plan.size,
        "rendering": None if images.rendering is None else asdict(images.rendering),
        "weights": backbone_weights([plan.arch]),
        "weight_new": weight,
        "temperature": _temperature(plan, trained, images),
        "validation": state.best[0] if len(parts.validation) else None,
        "validation_on": _covered(images.labels, images.store.label[parts.validation], "validation image"),
        "best_update": state.best_update,
        "updates": state.update,
        "held_out": _measure(plan, trained, held, images.labels) if held else None,
        "leak": dict(held.leak) if held else None,
        "notes": list(images.notes),
    }
    folder.save_weights(out / folder.WEIGHTS, trained.model)
    folder.write_json(out / folder.HISTORY, state.history)
    folder.write_text(out / folder.CARD, card(result))
    folder.write_json(out / folder.RESULT, result)
    drop_resume_points(out)
    return result


def _finished(out: Path) -> Facts:
    """The result of a finished classifier; a process that was killed at its very end may have left resume points."""
    if os.access(out, os.W_OK):
        drop_resume_points(out)
    return folder.result_of(out)


def _temperature(plan: TrainPlan, trained: Trained, images: ClassifierImages) -> float:
    """Fitted on the validation images, none of which was trained on."""
    rows = images.parts.validation
    if not len(rows):
        return 1.0
    found = [logits.numpy() for _, logits in walk(plan, trained.model, images.training_set(rows))]
    return fitted_temperature(np.concatenate(found), images.store.label[rows])


def _measure(plan: TrainPlan, trained: Trained, held: HeldOut, labels: LabelSpace) -> Facts:
    """Top-1 and mean per-class accuracy on the held-out images, and `on` which classes where that is not all."""
    label = held.store.label[held.rows]
    right = predict(plan, trained.model, join([held.store.piece(held.rows, soft=False)], plan.classes)) == label
    each = [float(right[label == c].mean()) for c in np.unique(label)]
    return {
        "images": len(label), "top1": float(right.mean()), "mean_per_class": float(np.mean(each)),
        "classes": len(each), "on": _covered(labels, label, "held-out image"),
    }  # fmt: skip


def _covered(labels: LabelSpace, label: np.ndarray, what: str) -> str:
    return labels.covered(np.bincount(label, minlength=len(labels)).tolist(), what)
