"""What a classifier says of every original image while it is trained on others: the folds of a dataset in turn.

Every answer is of an image that its classifier has not seen, nor anything that descends from it. So all originals can
say where a classifier fails and whether it became better, and no held-out image is touched. Several cuts into folds
(repeats) show how much the answers depend on the cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imaginate.data import Dataset, open_dataset
from imaginate.errors import DataError
from imaginate.files import RECIPE, derive_seed, replace_file
from imaginate.records import LabelSpace
from imaginate.training.augment import stored_size
from imaginate.training.classifier import Training, plan_of
from imaginate.training.labels import check_classes
from imaginate.training.learners import fit
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache
from imaginate.training.predict import walk
from imaginate.training.split import folds
from imaginate.training.training_set import Images, TrainingImages, TrainingSet, join


@dataclass(frozen=True)
class Answers:
    """`logits` (repeats, n, classes) float32 of the originals `ids`, whose labels are `label` (n,)."""

    ids: tuple[str, ...]
    label: np.ndarray
    logits: np.ndarray

    @property
    def said(self) -> np.ndarray:
        """The predicted labels, (repeats, n)."""
        found: np.ndarray = np.argmax(self.logits, axis=2)
        return found

    @property
    def right(self) -> np.ndarray:
        """(repeats, n) bool."""
        found: np.ndarray = np.equal(self.said, self.label)
        return found


class CrossFit:
    """The originals of a dataset, cut into folds `repeats` times, each time by another seed; groups stay together."""

    def __init__(
        self, data: str, settings: Training, cache: Path, *, count: int, repeats: int, device: str, progress: bool
    ) -> None:
        self._settings, self._cache, self._device, self._count = settings, cache, device, count
        self._advance: Callable[[int], None] = lambda _: None
        dataset, store, images = self._open(data)
        self.labels: LabelSpace = dataset.labels
        usable = store.usable & ~images.new
        names = _names(dataset)
        self.ids = tuple(names[i] for i in np.flatnonzero(usable))
        self.label = store.label[usable].astype(np.int64)
        if len(self.ids) < 2 * count:
            raise DataError(f"{data} has {len(self.ids)} images: too few for {count} folds")
        cuts = [
            folds(store.label, usable, count, derive_seed("crossfit", settings.seed, r), group=images.group)[usable]
            for r in range(repeats)
        ]
        self._cuts = [dict(zip(self.ids, cut.tolist(), strict=True)) for cut in cuts]

    def answers(self, data: str, folder: Path) -> Answers:
        """Of classifiers trained on a dataset or run whose originals are the same; kept in the folder."""
        file = folder / "answers.npy"
        if not file.is_file():
            found = self._answers(data, folder)
            folder.mkdir(parents=True, exist_ok=True)

            def write(partial: Path) -> None:
                with partial.open("wb") as out:
                    np.save(out, found)

            replace_file(file, write)
        return Answers(self.ids, self.label, np.load(file))

    def _answers(self, data: str, folder: Path) -> np.ndarray:
        dataset, store, images = self._open(data)
        names = _names(dataset)
        row_of = {names[row]: row for row in np.flatnonzero(~images.new).tolist()}
        if missing := [name for name in self.ids if name not in row_of]:
            raise DataError(f"{data} lacks {len(missing)} of the originals, first: {missing[0]}")
        training = TrainingImages(images)
        out = np.full((len(self._cuts), len(self.ids), len(self.labels)), np.nan, np.float32)
        for repeat, fold_of in enumerate(self._cuts):
            for fold in range(self._count):
                places = [i for i, name in enumerate(self.ids) if fold_of[name] == fold]
                held = {store.ids[row_of[self.ids[i]]] for i in places}
                parts = training.hold_back(held)
                train = self._set(store, images, parts.rows)
                asked = self._set(store, images, np.array([row_of[self.ids[i]] for i in places]))
                out[repeat, places] = self._fitted(train, asked, folder / f"fold-{repeat}-{fold}")
        return out

    def _fitted(self, train: TrainingSet, asked: TrainingSet, folder: Path) -> np.ndarray:
        settings = self._settings
        recipe = settings.adjusted_recipe()
        plan = plan_of(settings, recipe, len(self.labels), len(train), self._device)
        trained = fit(plan, train, None, folder, advance=self._advance)
        return np.concatenate([logits.numpy() for _, logits in walk(plan, trained.model, asked)])

    def _set(self, store: PixelCache, images: Images, rows: np.ndarray) -> TrainingSet:
        joined = join([store.piece(rows)], len(self.labels))
        kin = () if self._settings.learner.sees_views else tuple(images.kin[i] for i in rows)
        return replace(joined, new=images.new[rows], kin=kin)

    def _open(self, data: str) -> tuple[Dataset, PixelCache, Images]:
        settings = self._settings
        is_run = (Path(data) / RECIPE).is_file()
        dataset = open_dataset(data) if is_run else open_dataset(data, **settings.chosen)
        check_classes(dataset)
        size, classes = stored_size(settings.size), len(dataset.labels)
        store = build_pixel_cache(dataset.samples, self._cache, size=size, classes=classes)
        return dataset, store, Images(dataset, store, group_by=settings.group_by)


def _names(dataset: Dataset) -> list[str]:
    """What each image is called in the dataset that a run was made of."""
    if dataset.format != "run":
        return [sample.id for sample in dataset.samples]
    return [str(sample.meta.get("seed_image") or sample.id) for sample in dataset.samples]
