"""How good a guide is, before anyone spends a GPU day on it: accuracy on the seed set, per class, and confusions.

Never on images that the guide was fitted to: a zero-shot guide is measured on all seeds, prototypes with each seed left
out, a probe or fine-tuned network on the validation part of its training.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from imaginate.contract import FewShotGuide, Guide, Images, TextGuide, TrainedGuide
from imaginate.errors import DataError, ImageError, ModelError
from imaginate.models.guides.core.score import logits_of
from imaginate.ops.batching import map_images
from imaginate.ops.informativeness import entropy

BINS = 15


@dataclass(frozen=True)
class Assessment:
    """`confused`: (true label, predicted label, images, share of the true class), most confused first."""

    guide: str
    how: str
    images: int
    right: int
    interval: tuple[float, float]
    class_right: tuple[int, ...]
    class_images: tuple[int, ...]
    confused: tuple[tuple[int, int, int, float], ...]
    calibration_error: float
    mean_entropy: float
    unreadable: int
    left_out: int

    @property
    def accuracy(self) -> float:
        """Share of the images that are classified as labelled."""
        return self.right / self.images

    @property
    def class_mean(self) -> float:
        """Mean over the classes of their accuracy."""
        known = [r / n for r, n in zip(self.class_right, self.class_images, strict=True) if n]
        return math.fsum(known) / len(known)


def assess(
    guide: Guide, samples: Images, *, batch: int = 64, seen: Callable[[int], None] = lambda n: None
) -> Assessment:
    """Run the guide over the seed set. `seen` is called after every batch with its size (for a progress bar)."""
    how, usable = _how(guide)
    labels: list[int] = []
    parts: list[Tensor] = []
    unreadable = left_out = 0
    for ids, images, classes, bad in _batches(samples, batch):
        unreadable += bad
        take = [i for i, key in enumerate(ids) if usable(key)]
        left_out += len(ids) - len(take)
        if take:
            with torch.no_grad():
                rows = _embedded(guide, [ids[i] for i in take], [images[i] for i in take], batch)
                parts.append(logits_of(guide, rows, [ids[i] for i in take]).float().cpu())
            labels += [classes[i] for i in take]
        seen(len(ids) + bad)
    if not parts:
        raise DataError(f"guide {guide.name}: no image left to measure it on ({how})")
    logits = torch.cat(parts)
    if not bool(torch.isfinite(logits).all()):
        raise ModelError(f"guide {guide.name} gives NaN for {int((~torch.isfinite(logits)).any(dim=1).sum())} images")
    return _measured(guide, how, logits, torch.tensor(labels), unreadable, left_out)


def _embedded(guide: Guide, ids: Sequence[str], images: Sequence[Tensor], batch: int) -> Tensor:
    """Embeddings of seeds: a guide that was made from them has them already."""
    if isinstance(guide, FewShotGuide):
        found: Tensor = guide.seed_embeddings(ids)
        return found
    return map_images(guide.embed, images, batch, device=guide.device)


def _how(guide: Guide) -> tuple[str, Callable[[str], bool]]:
    """What is measured, in words, and which image ids may be measured on."""
    if isinstance(guide, TrainedGuide):
        held = set(guide.validation_ids)
        return "validation part of its training", lambda key: key in held
    if isinstance(guide, FewShotGuide):
        return "leave-one-out", guide.is_removable
    return ("zero-shot" if isinstance(guide, TextGuide) else "untrained"), lambda key: True


def _measured(guide: Guide, how: str, logits: Tensor, labels: Tensor, unreadable: int, left_out: int) -> Assessment:
    classes = logits.shape[1]
    probabilities = logits.softmax(dim=-1)
    confidence, predicted = probabilities.max(dim=-1)
    hit = predicted == labels
    per_class = torch.bincount(labels, minlength=classes)
    pairs = Counter((int(t), int(p)) for t, p in zip(labels[~hit], predicted[~hit], strict=True))
    confused = [(t, p, n, n / int(per_class[t])) for (t, p), n in pairs.items()]
    return Assessment(
        guide=guide.name,
        how=how,
        images=len(labels),
        right=int(hit.sum()),
        interval=wilson(int(hit.sum()), len(labels)),
        class_right=tuple(torch.bincount(labels[hit], minlength=classes).tolist()),
        class_images=tuple(per_class.tolist()),
        confused=tuple(sorted(confused, key=lambda c: (-c[2], -c[3], c[0], c[1]))),
        calibration_error=calibration_error(confidence, hit),
        mean_entropy=float(entropy(logits).mean()),
        unreadable=unreadable,
        left_out=left_out,
    )


def wilson(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927): sensible for few images and near 0 or 1, unlike the normal one."""
    share, square = right / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def calibration_error(confidence: Tensor, hit: Tensor, bins: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015): mean gap of confidence and accuracy over equal-width bins.

    `confidence`: (n,) in [0, 1]; `hit`: (n,) bool. An overconfident guide has hardly any entropy to gain.
    """
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    error = 0.0
    for b in sorted(set(place.tolist())):
        member = place == b
        gap = confidence[member].double().mean() - hit[member].double().mean()
        error += float(member.double().mean() * gap.abs())
    return error


def _batches(samples: Images, batch: int) -> Iterator[tuple[list[str], list[Tensor], list[int], int]]:
    """Ids, images and labels, `batch` at a time, and how many were unreadable meanwhile."""
    for start in range(0, len(samples), batch):
        ids: list[str] = []
        images: list[Tensor] = []
        labels: list[int] = []
        bad = 0
        for index in range(start, min(start + batch, len(samples))):
            record = samples.sample(index)
            try:
                images.append(samples.image(index))
            except ImageError:
                bad += 1
                continue
            ids.append(record.id)
            labels.append(record.label)
        yield ids, images, labels, bad


def worst(assessment: Assessment, count: int) -> Sequence[tuple[int, int, int]]:
    """The classes with the lowest accuracy: (label, right, images)."""
    rows = [
        (c, r, n) for c, (r, n) in enumerate(zip(assessment.class_right, assessment.class_images, strict=True)) if n
    ]
    return sorted(rows, key=lambda row: (row[1] / row[2], -row[2], row[0]))[:count]
