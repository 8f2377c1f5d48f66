"""What new images may be worth, without training: cheap numbers for every arm, from frozen features and the originals.

Which of them may be trusted is measured: over the arms of many studies, each is ranked against the difference that
training found (`imaginate report STUDY STUDY ...` gives the rank correlations). No held-out image is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imaginate.evaluation.metrics.coverage import density_coverage
from imaginate.evaluation.metrics.kernel import kernel_distance
from imaginate.evaluation.metrics.vendi import vendi_score
from imaginate.evaluation.near_copies import features
from imaginate.evaluation.study_images import RunImages, StudyImages
from imaginate.files import derive_seed
from imaginate.runs import Values

if TYPE_CHECKING:
    from torch import Tensor

MOST = 500  # images of each side
FEW = 10  # images of a side below which nothing is computed
FOLDS = 5
RIDGE = 0.1  # times the number of images: the penalty of the head
NEIGHBOURS = 5


def predictors(run: RunImages, rows: np.ndarray, material: StudyImages) -> Values | None:
    """Predictors of an arm's new images, `rows` of its run, from their features and those of the originals; None where
    they are too few."""
    data = material.images.dataset
    old, new = _some(np.flatnonzero(data.usable & ~data.new), "originals"), _some(rows, "new")
    if min(len(old), len(new)) < FEW:
        return None
    real, fake = features(material.train, old), features(run.store, new)
    labels = material.train.label[old], run.store.label[new]
    parents = [run.parents.get(run.store.ids[row], frozenset()) for row in new]
    ids = [material.train.ids[row] for row in old]
    classes = len(material.labels)
    return {
        "influence": influence(real, labels[0], fake, labels[1], parents, ids, classes),
        "consistency": consistency(real, labels[0], fake, labels[1], classes),
        "kernel_distance": float(kernel_distance(real, fake)[0]),
        "vendi": float(vendi_score(fake)) / len(fake),
        "coverage": float(density_coverage(real, fake, k=min(NEIGHBOURS, len(old) - 1))[1]),
    }


def consistency(real: Tensor, own: np.ndarray, fake: Tensor, labels: np.ndarray, classes: int) -> float:
    """Share of the new images that a head fitted on the originals calls by their own class."""
    head = _ridge(real, own, classes)
    called = (_with_one(fake) @ head).argmax(1).numpy()
    return float(np.mean(called == labels))


def influence(
    real: Tensor, own: np.ndarray, fake: Tensor, labels: np.ndarray, parents: list[frozenset[str]], ids: list[str],
    classes: int,
) -> float:  # fmt: skip
    """How much lower the squared error of a ridge head is on originals that it has not seen, when it was fitted on the
    new images as well, those that were made from these originals left out. In closed form, over folds of each class;
    above 0 they help."""
    fold = _folds(own, ids)
    gained = []
    for k in range(FOLDS):
        inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if not len(outside):
            continue
        held = {ids[row] for row in outside}
        fit = [row for row, seeds in enumerate(parents) if held.isdisjoint(seeds)]
        plain = _ridge(real[inside], own[inside], classes)
        both = _ridge(_joined(real[inside], fake[fit]), np.concatenate([own[inside], labels[fit]]), classes)
        x, y = _with_one(real[outside]), _targets(own[outside], classes)
        gained.append(float(((x @ plain - y) ** 2).sum(1).mean() - ((x @ both - y) ** 2).sum(1).mean()))
    return float(np.mean(gained))


def _ridge(x: Tensor, label: np.ndarray, classes: int) -> Tensor:
    """The head (dim + 1, classes) of least squared error with a penalty, every class of the same weight."""
    import torch

    count = np.bincount(label, minlength=classes)
    weight = torch.from_numpy(len(label) / (np.count_nonzero(count) * count[label])).double()[:, None]
    rows, target = _with_one(x), _targets(label, classes)
    penalty = RIDGE * len(label) * float((x.double() ** 2).sum(1).mean()) / x.shape[1]
    gram = rows.T @ (weight * rows) + penalty * torch.eye(rows.shape[1], dtype=torch.double)
    head: Tensor = torch.linalg.solve(gram, rows.T @ (weight * target))
    return head


def _with_one(x: Tensor) -> Tensor:
    import torch

    return torch.cat([x.double(), torch.ones(len(x), 1, dtype=torch.double)], 1)


def _targets(label: np.ndarray, classes: int) -> Tensor:
    import torch

    return torch.from_numpy(np.eye(classes)[label])


def _joined(a: Tensor, b: Tensor) -> Tensor:
    import torch

    return torch.cat([a, b])


def _folds(label: np.ndarray, ids: list[str]) -> np.ndarray:
    """A fold for each image, the images of a class spread over them."""
    fold = np.zeros(len(label), int)
    for c in np.unique(label):
        rows = sorted(np.flatnonzero(label == c).tolist(), key=lambda row: derive_seed("fold", ids[row]))
        fold[rows] = (np.arange(len(rows)) + int(c)) % FOLDS
    return fold


def _some(rows: np.ndarray, name: str) -> np.ndarray:
    if len(rows) <= MOST:
        return rows
    return np.sort(np.random.default_rng(derive_seed("predictors", name)).permutation(rows)[:MOST])
