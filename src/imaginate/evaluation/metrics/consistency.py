"""Do the new images show what their labels say? The judge is a guide, or the class means of the real images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.errors import ConfigError
from imaginate.evaluation.metrics.core.distances import check_finite
from imaginate.evaluation.metrics.core.features import Features
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number

if TYPE_CHECKING:
    from torch import Tensor

CONSISTENCY = Number(name="class_consistency", title="class consistency", range="[0, 1]", better="higher")


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Share of new images that a judge assigns to their label; its own accuracy is measured on held-out ones."""

    needs: ClassVar[tuple[Need, ...]] = ("new images", "two classes")
    order: ClassVar[int] = 70
    least: ClassVar[int] = 0

    def measure(self, images: Measured) -> Findings:
        """Of the new images; the note says who judges, and how often it is right on held-out ones."""
        sets, extractor = images.sets, images.extractor
        if extractor.guide is None and not len(sets.originals):
            return Findings(
                warnings=["class consistency needs the originals, or a guide that knows the classes: not measured"]
            )
        known = sets.held_out.where([label >= 0 for label in sets.held_out.labels])
        right = "" if not len(known) else f", right on {100 * _judge(images, known):.1f} % of the held-out images"
        if right and len(known.shown) < images.classes:
            right += f", of {len(known.shown)} of {images.classes} classes"
        judge = f"the guide {extractor.name}" if extractor.guide is not None else "the originals' class means"
        return Findings(rows=[CONSISTENCY.row(_judge(images, sets.new), note=f"judged by {judge}{right}")])


def _judge(images: Measured, found: Features) -> float:
    import torch

    labels, guide, originals = torch.tensor(found.labels), images.extractor.guide, images.sets.originals
    if guide is not None:
        with torch.no_grad():
            return class_consistency(guide.logits(found.vectors).float().cpu(), labels)
    known = torch.tensor(originals.labels)
    return class_consistency(prototype_logits(found.vectors, originals.vectors, known, images.classes), labels)


def class_consistency(logits: Tensor, labels: Tensor) -> float:
    """Share of images (n, classes) that the judge assigns to their label (n,) int64; in [0, 1], 1 is best.

    The judge errs, too: read it with its accuracy on held-out real images.
    """
    from torchmetrics.functional.classification import multiclass_accuracy

    if len(logits) == 0:
        raise ConfigError("class consistency needs at least 1 image, got 0")
    check_finite(logits)
    if logits.shape[1] < 2:
        return 1.0
    return float(multiclass_accuracy(logits, labels, num_classes=logits.shape[1], average="micro"))


def prototype_logits(features: Tensor, real: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Cosine similarity of (n, d) features with the mean direction of each class's real images (m, d) -> (n, classes).

    The nearest-class-mean classifier (Snell et al. 2017) on frozen features. A class without a real image gets -1.
    """
    import torch
    from torch.nn.functional import normalize

    check_finite(features, real)
    unit = normalize(real.double(), dim=1)
    sums = torch.zeros(classes, unit.shape[1], dtype=unit.dtype).index_add_(0, labels, unit)
    logits = normalize(features.double(), dim=1) @ normalize(sums, dim=1).T
    empty = torch.bincount(labels, minlength=classes) == 0
    return logits.masked_fill(empty, -1.0)
