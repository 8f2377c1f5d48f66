"""Do the new images show what their labels say? The judge is a guide, or the class means of the real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


def class_consistency(logits: Tensor, labels: Tensor) -> float:
    """Share of images (n, classes) that the judge assigns to their label (n,) int64; in [0, 1], 1 is best.

    The judge errs, too: read it beside its accuracy on held-out real images.
    """
    from torchmetrics.functional.classification import multiclass_accuracy

    if len(logits) == 0:
        raise ConfigError("class consistency needs at least 1 image, got 0")
    if logits.shape[1] < 2:
        return 1.0
    return float(multiclass_accuracy(logits, labels, num_classes=logits.shape[1], average="micro"))


def prototype_logits(features: Tensor, real: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Cosine similarity of (n, d) features with the mean direction of each class's real images (m, d) -> (n, classes).

    The nearest-class-mean classifier (Snell et al. 2017) on frozen features. A class without a real image gets -1.
    """
    import torch
    from torch.nn.functional import normalize

    unit = normalize(real.double(), dim=1)
    sums = torch.zeros(classes, unit.shape[1], dtype=unit.dtype).index_add_(0, labels, unit)
    logits = normalize(features.double(), dim=1) @ normalize(sums, dim=1).T
    empty = torch.bincount(labels, minlength=classes) == 0
    return logits.masked_fill(empty, -1.0)
