"""How much the new images differ from one another, and what of the real distribution they reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


def vendi_score(features: Tensor) -> float:
    """The effective number of different images among n; in [1, n], 1 when all are the same.

    exp of the entropy of the eigenvalues of K / n, K the cosine similarities (Friedman & Dieng 2023, eq. 1). The
    eigenvalues are taken from the smaller of K (n, n) and its dual (d, d), which share the non-zero ones (sec. 3.1).
    """
    import torch

    if len(features) == 0:
        raise ConfigError("the Vendi score needs at least 1 image, got 0")
    x = torch.nn.functional.normalize(features.double(), dim=1)
    gram = x.T @ x if x.shape[0] > x.shape[1] else x @ x.T
    values = torch.linalg.eigvalsh(gram / len(x)).clamp_min(0)
    values = values[values > 0] / values.sum()
    return float(torch.exp(-(values * values.log()).sum()))


def cover(points: Tensor, reference: Tensor, *, quantile: float = 1.0) -> tuple[float, float]:
    """Radius at which balls around `points` (n, d) cover `reference` (m, d), and its inverse, the delta-diversity.

    GIF appendix C: delta_min = max_s min_e |s - e|, delta_div = 1 / delta_min; both in [0, inf]. A larger set can only
    lower the radius, so compare an expanded set with the original it contains. `quantile` < 1 is robust to outliers.
    """
    from imaginate.ops.cover import cover_radius, delta_diversity

    return cover_radius(points, reference, quantile=quantile), delta_diversity(points, reference, quantile=quantile)
