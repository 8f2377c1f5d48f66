"""The Vendi score: the effective number of different images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from imaginate.errors import ConfigError
from imaginate.evaluation.metrics.core.distances import check_finite
from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need, Number

if TYPE_CHECKING:
    from torch import Tensor

VENDI = Number(name="vendi", title="Vendi score", range="[1, images]", better="higher")


@dataclass(frozen=True, kw_only=True)
class Vendi:
    """The effective number of different images among the new ones (Friedman & Dieng 2023)."""

    needs: ClassVar[tuple[Need, ...]] = ()
    order: ClassVar[int] = 50
    least: ClassVar[int] = 0

    def measure(self, images: Measured) -> Findings:
        """Of the new images, and of the originals."""
        values = [vendi_score(f.vectors) if len(f) else None for f in (images.sets.new, images.sets.originals)]
        return Findings(rows=[VENDI.row(values[0], values[1], "effective number of different images")])


def vendi_score(features: Tensor) -> float:
    """The effective number of different images among n; in [1, n], 1 when all are the same.

    exp of the entropy of the eigenvalues of K / n, K the cosine similarities (Friedman & Dieng 2023, eq. 1). The
    eigenvalues are taken from the smaller of K (n, n) and its dual (d, d), which share the non-zero ones (sec. 3.1).
    """
    import torch

    if len(features) == 0:
        raise ConfigError("the Vendi score needs at least 1 image, got 0")
    check_finite(features)
    x = torch.nn.functional.normalize(features.double(), dim=1)
    gram = x.T @ x if x.shape[0] > x.shape[1] else x @ x.T
    values = torch.linalg.eigvalsh(gram / len(x)).clamp_min(0)
    values = values[values > 0] / values.sum()
    return float(torch.exp(-(values * values.log()).sum()))
