"""How well a dataset covers the space it comes from (GIF appendix C): small holes bound the generalisation error."""

from __future__ import annotations

import torch
from torch import Tensor

from imaginate.errors import ConfigError
from imaginate.ops.similarity import nearest_distances


def cover_radius(points: Tensor, reference: Tensor, *, quantile: float = 1.0, chunk: int = 1024) -> float:
    """The smallest delta for which balls around `points` (n, d) cover all of `reference` (m, d): GIF definition C.1,
    delta_min = max over s of min over e of ||s - e||. `quantile` below 1 lets that share be covered only
    (the maximum hangs on a single outlier)."""
    if not 0 < quantile <= 1:
        raise ConfigError(f"quantile must be in (0, 1], got {quantile!r}")
    if len(points) == 0 or len(reference) == 0:
        raise ConfigError(f"a cover needs points and a reference, got {len(points)} and {len(reference)}")
    distances, _ = nearest_distances(reference, points, chunk=chunk)
    return float(torch.quantile(distances.double(), quantile))


def delta_diversity(points: Tensor, reference: Tensor, *, quantile: float = 1.0) -> float:
    """GIF definition C.2: the inverse of the cover radius; infinite where every reference point is in the set."""
    radius = cover_radius(points, reference, quantile=quantile)
    return 1.0 / radius if radius > 0 else float("inf")
