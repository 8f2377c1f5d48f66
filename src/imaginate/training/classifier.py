"""One classifier from one dataset or run: for using it, rather than for comparing (that is `imaginate compare`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imaginate.data import Dataset, load, open_dataset
from imaginate.devices import pick_device
from imaginate.errors import ConfigError, DataError
from imaginate.files import derive_seed
from imaginate.progress import Bar, bar
from imaginate.records import LabelSpace
from imaginate.settings import build, check, setting
from imaginate.training import checkpoint
from imaginate.training import folder as kept
from imaginate.training.architectures import check_arch
from imaginate.training.augment import stored_size
from imaginate.training.distributed import assemble
from imaginate.training.labels import align_labels
from imaginate.training.leaks import check_leak
from imaginate.training.loop import Trained, fit
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.plan import TrainPlan
from imaginate.training.predict import predict
from imaginate.training.recipes import Recipe, check_watched
from imaginate.training.settings import ClassifierSettings
from imaginate.training.training_set import Images, Parts, TrainingImages, TrainingSet, join


@dataclass(frozen=True, kw_only=True)
class Training(ClassifierSettings):
    """How `imaginate train` trains. Its fields are its flags."""

    origin: Literal["all", "original", "synthetic"] = setting("all", "of a run: which images to train on")
    held_out: str | None = setting(None, "dataset on which the classifier is measured, once")
    seed: int = setting(0, "weights, validation part and order", ge=0)

    def __post_init__(self) -> None:
        check(self)
        if self.updates is not None and self.epochs is not None:
            raise ConfigError(f"give one of updates and epochs, got updates {self.updates} and epochs {self.epochs}")
        if self.held_out_split is not None and self.held_out is None:
            raise ConfigError(f"held_out_split {self.held_out_split!r} needs held_out: the dataset that has this split")


def train(
    data: str | os.PathLike[str], out: str | os.PathLike[str], *, device: str = "auto", show: bool = True, **values: Any
) -> dict[str, Any]:
    """Train a classifier into `out` (weights.safetensors, classes and settings in classifier.json, history.json).

    Everything is read and checked before the first update. Children of validation images are left out of training. The
    same call goes on where it was stopped, and returns the result of a finished classifier; other settings or other
    images are refused.
    """
    settings, folder = build(Training, values, where="train"), Path(out)
    check_arch(settings.arch, settings.pretrained)
    recipe = settings.adjusted_recipe()
    check_watched(recipe, settings.validation > 0)
    stored = kept.stored_recipe(folder)
    if stored is not None:
        kept.check_settings(folder, stored, asdict(settings))
    team, place = assemble(pick_device(device))
    material = _gather(str(data), settings, folder, show and team.main)
    if stored is not None:
        kept.check_images(folder, stored, material.marks)
    if kept.is_finished(folder):
        return kept.result_of(folder) if team.main else {}
    check_watched(recipe, len(material.parts.validation) > 0)
    plan = _plan(settings, recipe, material, place)
    if team.main:
        kept.write_json(
            folder / kept.RECIPE, {"settings": asdict(settings), "data": {"path": str(data), **material.marks}}
        )
    with bar(f"train {plan.arch}", plan.updates, unit="updates", show=show and team.main) as progress:
        pool, validation = material.training_set(material.parts.rows), material.training_set(material.parts.validation)
        trained = fit(plan, pool, validation if len(validation) else None, folder, advance=progress.advance, team=team)
    return _finish(settings, plan, trained, material, folder) if team.main else {}


@dataclass(frozen=True, kw_only=True)
class Held:
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
    held: Held | None

    @property
    def marks(self) -> dict[str, str | None]:
        """Fingerprints of the images."""
        return {"train": self.store.fingerprint, "held_out": self.held.store.fingerprint if self.held else None}

    def training_set(self, rows: np.ndarray) -> TrainingSet:
        """Some of the training images."""
        return join([self.store.piece(rows)], len(self.labels))


def _gather(data: str, settings: Training, folder: Path, show: bool) -> ClassifierImages:
    """Open, decode and check everything, the held-out images too."""
    train = open_dataset(data, split=settings.split, origin=settings.origin)
    held = _open_held_out(settings, train)
    with bar("reading images", sum(len(d) for d in (train, held) if d is not None), show=show) as progress:
        store = _decode(train, settings, folder, progress)
        outside = None if held is None else _decode(held, settings, folder, progress)
    parts = TrainingImages(Images(train, store)).choose(settings.validation, settings.seed)
    if not len(parts.rows):
        raise DataError("no image is left to train on")
    if outside is None or held is None:
        return ClassifierImages(labels=train.labels, store=store, parts=parts, held=None)
    where = f"{settings.held_out}, split {held.split}" if held.split else str(settings.held_out)
    used = np.concatenate([parts.rows, parts.validation])
    rows, leak = check_leak(store, used, outside, where, allow=settings.allow_leak, drop=settings.drop_leak)
    return ClassifierImages(
        labels=train.labels, store=store, parts=parts, held=Held(store=outside, rows=rows, leak=leak)
    )


def _open_held_out(settings: Training, train: Dataset) -> Dataset | None:
    if settings.held_out is None:
        return None
    return align_labels(open_dataset(settings.held_out, split=settings.held_out_split), train, "held-out")


def _decode(dataset: Dataset, settings: Training, folder: Path, progress: Bar) -> PixelCache:
    return build_pixel_cache(
        dataset.samples, folder / "cache", size=stored_size(settings.size), classes=len(dataset.labels), load=load,
        advance=progress.advance,
    )  # fmt: skip


def _plan(settings: Training, recipe: Recipe, material: ClassifierImages, device: str) -> TrainPlan:
    epoch = max(1, -(-len(material.parts.rows) // recipe.batch))
    return TrainPlan(
        arch=settings.arch, classes=len(material.labels), size=settings.size, recipe=recipe,
        updates=settings.updates or recipe.epochs * epoch, epoch=epoch, seed=derive_seed("train", settings.seed),
        pretrained=settings.pretrained, augment=settings.online_aug, device=device, precision=settings.precision,
    )  # fmt: skip


def _finish(
    settings: Training, plan: TrainPlan, trained: Trained, material: ClassifierImages, folder: Path
) -> dict[str, Any]:
    """Measure on the held-out images, write the classifier, the result last, drop the resume point."""
    state, parts, held = trained.state, material.parts, material.held
    result: dict[str, Any] = {
        "classes": list(material.labels.names),
        "settings": asdict(settings),
        "images": len(parts.rows),
        "excluded": dict(parts.excluded),
        "unreadable": material.store.skipped,
        "validation": state.best[0] if len(parts.validation) else None,
        "best_update": state.best_update,
        "updates": state.update,
        "held_out": _measure(plan, trained, held) if held else None,
        "leak": dict(held.leak) if held else None,
    }
    kept.save_weights(folder / kept.WEIGHTS, trained.model)
    kept.write_json(folder / kept.HISTORY, state.history)
    kept.write_json(folder / kept.RESULT, result)
    checkpoint.drop(folder)
    return result


def _measure(plan: TrainPlan, trained: Trained, held: Held) -> dict[str, Any]:
    """Top-1 and mean per-class accuracy on the held-out images."""
    label = held.store.label[held.rows]
    right = predict(plan, trained.model, join([held.store.piece(held.rows, soft=False)], plan.classes)) == label
    each = [float(right[label == c].mean()) for c in np.unique(label)]
    return {"images": len(label), "top1": float(right.mean()), "mean_per_class": float(np.mean(each))}
