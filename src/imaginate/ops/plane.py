"""Many dimensions on paper: the plane in which a set of vectors is spread most (principal components)."""

from __future__ import annotations

import torch
from torch import Tensor


def plane(rows: Tensor, fit: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Vectors (n, d) -> their places (n, 2) in the plane of the first two principal components of `fit` (m, d), and the
    share of its variance that each of the two has. Each axis points to where its largest weight is positive, so that
    the same vectors give the same picture."""
    centre = fit.double().mean(dim=0)
    _, sizes, axes = torch.linalg.svd(fit.double() - centre, full_matrices=False)
    axes, power = axes[:2], sizes**2
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    axes = axes * largest.sign().where(largest != 0, torch.ones_like(largest))
    places = torch.zeros(len(rows), 2, dtype=torch.float64)
    places[:, : len(axes)] = (rows.double() - centre) @ axes.T
    shares = [float(power[i] / power.sum()) if i < len(axes) and power.sum() > 0 else 0.0 for i in range(2)]
    return places, (shares[0], shares[1])
