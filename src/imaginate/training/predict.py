"""What a classifier says of a pool of images, without augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from imaginate.training.augment import centre, normalise
from imaginate.training.plan import TrainPlan, autocast
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    import torch
    from torch import nn

_BATCH = 256


@runtime_checkable
class PoolClassifier(Protocol):
    """A classifier that may know the images of a pool already."""

    def pool_logits(self, pool: TrainingSet, rows: np.ndarray) -> torch.Tensor | None:
        """Logits (n, classes) of some images; None where it has to see them."""
        ...


def logits_of(plan: TrainPlan, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(b, 3, S, S) uint8 -> logits (b, classes) float32 on the CPU."""
    import torch

    x = normalise(centre(images.to(plan.device), plan.size), plan.statistics)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), autocast(plan):
        return model(x).float().cpu()  # type: ignore[no-any-return]


def walk(plan: TrainPlan, model: nn.Module, pool: TrainingSet) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """(rows, logits) over the whole pool, in order."""
    was = model.training
    model.eval()
    for start in range(0, len(pool), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(pool)))
        known = model.pool_logits(pool, rows) if isinstance(model, PoolClassifier) else None
        yield rows, logits_of(plan, model, pool.images(rows)) if known is None else known
    model.train(was)


def predict(plan: TrainPlan, model: nn.Module, pool: TrainingSet) -> np.ndarray:
    """The predicted label of every image. (n,) int64"""
    return np.concatenate([logits.argmax(1).numpy() for _, logits in walk(plan, model, pool)])


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """What a classifier says of n images: the label, and the likeliest classes with their probabilities, in order."""

    label: np.ndarray  # (n,) int64
    ranked: np.ndarray  # (n, k) uint16
    probability: np.ndarray  # (n, k) float32


def rank(plan: TrainPlan, model: nn.Module, pool: TrainingSet, most: int = 5) -> Ranked:
    """The label and at most so many of the likeliest classes of every image."""
    found = [
        (logits.argmax(1), *logits.softmax(1).topk(min(most, plan.classes)))
        for _, logits in walk(plan, model, pool)
    ]  # fmt: skip
    label, probability, ranked = (
        np.concatenate([part.numpy() for part in parts]) for parts in zip(*found, strict=True)
    )
    return Ranked(label=label, ranked=ranked.astype(np.uint16), probability=probability)


def accuracy(plan: TrainPlan, model: nn.Module, pool: TrainingSet) -> tuple[float, float]:
    """Top-1 accuracy, and minus the mean loss (which decides between equal accuracies of a small validation part)."""
    import torch
    import torch.nn.functional as F

    right, loss = 0, 0.0
    for rows, logits in walk(plan, model, pool):
        labels = pool.label[rows]
        right += int((logits.argmax(1).numpy() == labels).sum())
        loss += float(F.cross_entropy(logits, torch.from_numpy(labels), reduction="sum"))
    return right / len(pool), -loss / len(pool)
