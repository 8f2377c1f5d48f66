"""One classifier from one dataset or run: for using it, rather than for comparing (that is `imaginate compare`)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from imaginate.data import Dataset, load, open_dataset
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.progress import bar
from imaginate.records import Sample
from imaginate.settings import build, check, nearest, setting
from imaginate.train import checkpoint
from imaginate.train.augment import stored_size
from imaginate.train.classifiers import check_arch
from imaginate.train.loop import Trained, fit
from imaginate.train.pixels import Store, build_store
from imaginate.train.plan import TrainPlan, pick_device
from imaginate.train.pool import ImagePool, join
from imaginate.train.predict import predict
from imaginate.train.recipes import RECIPES, Recipe, adjust
from imaginate.train.stream import seed_of
from imaginate.train.team import SOLO, Team, assemble


@dataclass(frozen=True, kw_only=True)
class Training:
    """How `imaginate train` trains. Its fields are its flags."""

    split: str | None = setting(None, "split of the training images")
    origin: Literal["all", "original", "synthetic"] = setting("all", "of a run: which images to train on")
    validation: float = setting(0.2, "share of the original images kept for model selection, by class", ge=0, lt=1)
    held_out: str | None = setting(None, "dataset on which the classifier is measured, once")
    held_out_split: str | None = setting(None, "split of the held-out images, such as test")
    arch: str = setting("resnet50", "classifier: small, or a timm name")
    pretrained: bool = setting(False, "start from published weights")
    image_size: int = setting(0, "side of the classifier's input; 0 = 32 for small, else 224", ge=0)
    recipe: str = setting("default", "training schedule: " + ", ".join(RECIPES))
    updates: int | None = setting(None, "updates (default: the recipe's epochs over the training images)", ge=1)
    epochs: int | None = setting(None, "epochs, in place of the recipe's", ge=1)
    batch: int | None = setting(None, "images an update, in place of the recipe's", ge=1)
    lr: float | None = setting(None, "peak learning rate, in place of the recipe's", gt=0)
    patience: int | None = setting(None, "epochs without improvement before stopping, in place of the recipe's", ge=1)
    online_aug: Literal["none", "light", "strong"] = setting("light", "on-line augmentation")
    seed: int = setting(0, "weights, validation part and order", ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto", "arithmetic")

    def __post_init__(self) -> None:
        check(self)

    @property
    def size(self) -> int:
        """Side of the classifier's input."""
        return self.image_size or (32 if self.arch == "small" else 224)

    def schedule(self) -> Recipe:
        """The recipe with this call's changes."""
        if self.recipe not in RECIPES:
            raise ConfigError(f"unknown recipe {self.recipe!r}{nearest(self.recipe, RECIPES)}")
        return adjust(RECIPES[self.recipe], epochs=self.epochs, batch=self.batch, lr=self.lr, patience=self.patience)


def train(
    data: str | os.PathLike[str], out: str | os.PathLike[str], *, device: str = "auto", show: bool = True, **values: Any
) -> dict[str, Any]:
    """Train a classifier into `out` (weights.safetensors, classes and settings in classifier.json, history.json).

    Children of validation images are left out of training. The same call goes on where it was stopped.
    """
    settings, folder = build(Training, values, where="train"), Path(out)
    check_arch(settings.arch)
    recipe = settings.schedule()
    if folder.exists() and (not folder.is_dir() or any(p.name not in _OWN for p in folder.iterdir())):
        raise RunError(f"{folder} exists and is not a training folder; choose another --out")
    team, place = assemble(pick_device(device))
    dataset = open_dataset(data, split=settings.split, origin=settings.origin)
    store = _store(dataset, settings, folder, show)
    rows, inside = split_with_children(dataset.samples, store, settings.validation, settings.seed)
    pool, validation = (_pool(store, which, len(dataset.labels)) for which in (rows, inside))
    epoch = max(1, -(-len(rows) // recipe.batch))
    plan = TrainPlan(
        arch=settings.arch, classes=len(dataset.labels), size=settings.size, recipe=recipe,
        updates=settings.updates or recipe.epochs * epoch, epoch=epoch, seed=seed_of("train", settings.seed),
        pretrained=settings.pretrained, augment=settings.online_aug, device=place, precision=settings.precision,
    )  # fmt: skip
    with bar(f"train {plan.arch}", plan.updates, unit="updates", show=show and team.main) as progress:
        trained = fit(plan, pool, validation if len(inside) else None, folder, advance=progress.advance, team=team)
    return _finish(settings, plan, trained, dataset, store, rows, folder, team, show)


_OWN = ("cache", "state.pt", "history.json", "classifier.json", "weights.safetensors")


def split_with_children(
    samples: Sequence[Sample], store: Store, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on: a share of the originals of each class; what was made from a
    validation image is in neither."""
    synthetic = np.array([s.meta.get("origin", "original") != "original" for s in samples], bool)
    source = [str(s.meta.get("seed_image") or s.id) for s in samples]
    inside: list[int] = []
    for label in np.unique(store.label):
        own = np.flatnonzero(store.usable & ~synthetic & (store.label == label))
        count = max(0, min(int(share * len(own) + 0.5), len(own) - 1))
        inside += np.random.default_rng(seed_of("validation", seed, int(label))).permutation(own)[:count].tolist()
    held_back = {source[i] for i in inside}
    rows = [i for i in np.flatnonzero(store.usable) if source[i] not in held_back]
    if not rows:
        raise DataError("no image is left to train on")
    return np.array(rows, np.int64), np.sort(np.array(inside, np.int64))


def _store(dataset: Dataset, settings: Training, folder: Path, show: bool) -> Store:
    with bar("reading images", len(dataset.samples), show=show) as progress:
        return build_store(
            dataset.samples, folder / "cache", size=stored_size(settings.size), classes=len(dataset.labels), load=load,
            advance=progress.advance,
        )  # fmt: skip


def _pool(store: Store, rows: np.ndarray, classes: int) -> ImagePool:
    soft = None if store.soft is None else store.soft[rows]
    return join([(store.path, rows, store.label[rows], soft)], classes)


def _finish(
    settings: Training,
    plan: TrainPlan,
    trained: Trained,
    dataset: Dataset,
    store: Store,
    rows: np.ndarray,
    folder: Path,
    team: Team,
    show: bool,
) -> dict[str, Any]:
    """Measure on the held-out images, write the classifier, drop the resume point."""
    if team is not SOLO and not team.main:
        return {}
    from safetensors.torch import save_file

    state = trained.state
    result: dict[str, Any] = {
        "classes": list(dataset.labels.names),
        "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        "images": len(rows),
        "unreadable": store.skipped,
        "validation": state.best[0] if settings.validation else None,
        "best_update": state.best_update,
        "updates": state.update,
        "held_out": _measure(settings, plan, trained, dataset, folder, show) if settings.held_out else None,
    }
    save_file({k: v.detach().cpu().contiguous() for k, v in trained.model.state_dict().items()}, folder / _OWN[4])
    (folder / "history.json").write_text(json.dumps(state.history, indent=1) + "\n")
    (folder / "classifier.json").write_text(json.dumps(result, indent=1) + "\n")
    checkpoint.drop(folder)
    return result


def _measure(
    settings: Training, plan: TrainPlan, trained: Trained, dataset: Dataset, folder: Path, show: bool
) -> dict[str, Any]:
    """Top-1 and mean per-class accuracy on the held-out images, labels matched by class name."""
    held = open_dataset(settings.held_out or "", split=settings.held_out_split)
    names = dataset.labels.names
    strange = sorted({held.labels.names[s.label] for s in held.samples} - set(names))
    if strange:
        raise DataError(f"held-out images have classes that the training set lacks: {', '.join(strange[:5])}")
    store = _store(held, settings, folder, show)
    label = np.array([names.index(held.labels.names[i]) for i in store.label])
    rows = np.flatnonzero(store.usable)
    right = predict(plan, trained.model, join([(store.path, rows, label[rows], None)], len(names))) == label[rows]
    each = [float(right[label[rows] == c].mean()) for c in np.unique(label[rows])]
    return {"images": len(rows), "top1": float(right.mean()), "mean_per_class": float(np.mean(each))}
