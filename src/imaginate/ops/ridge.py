"""A ridge classifier in closed form, with what it says of each row when that row is left out.

Least squared error on one-hot labels, every class of the same weight, features centred. With the hat matrix H of the
weighted rows, the residual of a row that is left out is its own residual over 1 - H_ii (Allen's PRESS statistic), so
the penalty and the temperature are chosen on left-out rows for the cost of one decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PENALTIES = tuple(10 ** (k / 2) for k in range(-6, 7))  # times the mean square length of a centred row
TEMPERATURES = tuple(10 ** (k / 10) for k in range(-25, 6))
_FLOOR = 1e-9


@dataclass(frozen=True, kw_only=True)
class RidgeHead:
    """logits = features @ weight.T + bias, whose softmax is a probability on rows that the head has not seen.

    `weight` (classes, dim) and `bias` (classes,) float64. `left_out` (n, classes): the logits of each row by the head
    without it. `penalty`: the chosen one, a multiple of the mean square length.
    """

    weight: Tensor
    bias: Tensor
    left_out: Tensor
    penalty: float

    def logits(self, features: Tensor) -> Tensor:
        """(n, dim) -> (n, classes) float64."""
        return features.double().cpu() @ self.weight.T + self.bias


def ridge_head(
    features: Tensor, labels: Tensor, classes: int, *, others: Tensor | None = None, weight: float = 1.0
) -> RidgeHead:
    """Features (n, dim) and labels (n,) in 0 .. classes - 1 -> the head with the least squared error on left-out rows.

    A class without a row gets a score below all others. A class of one row is judged by the other classes' rows alone.
    `others` (m, dim): rows of no class, the last column of the logits, which weigh as `weight` classes together; the
    temperature is that of the classes' own rows.
    """
    x, y, mass = _rows(features, labels, classes, others, weight)
    own = torch.arange(len(x)) < len(features)
    targets = F.one_hot(y, len(mass)).double()
    count = targets.sum(0)
    share = (mass / count.clamp(min=1))[y] / mass[count > 0].sum()  # (n + m,), sums to 1
    mean, middle = share @ x, share @ targets
    root = share.sqrt()[:, None]
    a, b = root * (x - mean), root * (targets - middle)
    values, vectors = torch.linalg.eigh(a @ a.T if len(x) <= x.shape[1] else a.T @ a)
    keep = values > values.max().clamp(min=_FLOOR) * 1e-10
    values, vectors = values[keep], vectors[:, keep]
    u = vectors if len(x) <= x.shape[1] else a @ vectors / values.sqrt()
    inner, unit = u.T @ b, (a**2).sum()
    judged = count[y] > 1
    judged = judged if bool((judged & own).any()) else torch.ones_like(judged)
    best: tuple[float, float, Tensor] | None = None
    for penalty in PENALTIES:
        kept = values / (values + penalty * unit)
        hat = (u**2 * kept).sum(1) + share  # the mean is fitted too
        left = targets - (b - (u * kept) @ inner) / root / (1 - hat).clamp(min=_FLOOR)[:, None]
        error = float((share[judged, None] * (left - targets)[judged] ** 2).sum())
        if best is None or error < best[0]:
            best = (error, penalty, left)
    assert best is not None
    _, penalty, left = best
    weights = (a.T @ ((u / (values + penalty * unit)) @ inner)).T
    bias = middle - weights @ mean
    losses = [float(F.cross_entropy(left[judged & own] / t, y[judged & own])) for t in TEMPERATURES]
    t = TEMPERATURES[losses.index(min(losses))]
    bias = torch.where(count > 0, bias / t, -torch.inf)
    return RidgeHead(weight=weights / t, bias=bias, left_out=left / t, penalty=penalty)


def _rows(
    features: Tensor, labels: Tensor, classes: int, others: Tensor | None, weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """All rows in double precision, their columns, and what each column weighs."""
    x, y = features.double().cpu(), labels.long().cpu()
    mass = torch.ones(classes, dtype=torch.float64)
    if others is None:
        return x, y, mass
    beyond = torch.full((len(others),), classes)
    return torch.cat([x, others.double().cpu()]), torch.cat([y, beyond]), torch.cat([mass, mass.new_tensor([weight])])
