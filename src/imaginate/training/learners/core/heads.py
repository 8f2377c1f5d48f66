"""Linear heads on frozen features, whose penalty is chosen inside the training part.

Ridge regression on one-hot labels has its leave-one-out error in closed form, for any number of images left out
together: an original image is left out with all that was made from it (else a set of copies would ask for no penalty).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.files import derive_seed
from imaginate.training.training_set import TrainingSet

PENALTIES = tuple(float(x) for x in np.logspace(-3, 3, 10))  # times the square length of a family
LOGISTIC = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
TEMPERATURES = tuple(float(x) for x in np.logspace(-2.5, 0.5, 25))
JUDGES = 1000  # images that are left out in turn, at most
_ROOM = 3e7  # numbers that one batch of left-out families may take
STEPS = 100  # of a logistic head, at most
MEASURED, TRIED = 2000, 3  # images and steps by which its time is measured
PARTS = 3  # of the training part, for the penalty of a logistic head


@dataclass(frozen=True)
class Head:
    """logits = features @ weight.T + bias. `accuracy`: of the images that were left out in turn."""

    weight: Tensor
    bias: Tensor
    penalty: float
    accuracy: float


def ridge(features: Tensor, pool: TrainingSet, classes: int) -> Head:
    """Features (n, d) of a pool -> the head with the smallest squared error on images left out with their relatives.

    The scores are divided by the temperature at which the left-out images have the highest likelihood, so that a
    softmax of them is a probability.
    """
    x, root, targets = features.double(), _weights(pool).sqrt(), _targets(pool, classes)
    total = (root**2).sum()
    mean, middle = (root**2 @ x) / total, (root**2 @ targets) / total
    a, b = root[:, None] * (x - mean), root[:, None] * (targets - middle)
    u, values = _spectrum(a)
    inner, unit = u.T @ b, (a**2).sum() / len({int(family) for of in _kin(pool) for family in of})
    blocks = _batches(_families(pool), u.shape[1])
    best: tuple[float, float, Tensor, Tensor] | None = None
    for penalty in PENALTIES:
        kept = values / (values + penalty * unit)
        residual = b - u @ (kept[:, None] * inner)
        scores, judged = _left_out(u, kept, residual, root, targets, blocks)
        error = float(((scores - targets[judged]) ** 2).mean())
        if best is None or error < best[0]:
            best = (error, penalty, scores, judged)
    assert best is not None
    _, penalty, scores, judged = best
    weight = a.T @ (u @ (inner / (values + penalty * unit)[:, None]))
    labels = targets[judged].argmax(1)
    losses = [float(F.cross_entropy(scores / t, labels)) for t in TEMPERATURES]
    t = TEMPERATURES[losses.index(min(losses))]
    accuracy = float((scores.argmax(1) == labels).double().mean())
    return Head((weight.T / t).float(), ((middle - mean @ weight) / t).float(), penalty, accuracy)


def logistic(features: Tensor, pool: TrainingSet, classes: int) -> Head:
    """Features (n, d) of a pool -> multinomial logistic regression; its L2 penalty has the highest accuracy over three
    parts of the training images, relatives in one part."""
    unit = features.double().std() + 1e-6
    x, targets, weights = features / float(unit), _targets(pool, classes).float(), _weights(pool).float()
    part, judged = _parts(pool), ~torch.from_numpy(_new(pool))
    right = np.zeros(len(LOGISTIC))
    for k in range(PARTS if len(set(part.tolist())) > 1 else 0):
        inside, outside = part == k, part != k
        for i, penalty in enumerate(LOGISTIC):
            weight, bias = _regression(x[outside], targets[outside], weights[outside], penalty)
            asked = inside & judged if bool(judged.any()) else inside
            hit = (x[asked] @ weight.T + bias).argmax(1) == targets[asked].argmax(1)
            right[i] += float(hit.float().sum())
    penalty = LOGISTIC[int(right.argmax())]
    weight, bias = _regression(x, targets, weights, penalty)
    count = max(1, int(judged.sum()) if bool(judged.any()) else len(x))
    return Head(weight / float(unit), bias, penalty, float(right.max()) / count)


def logistic_seconds(images: int, classes: int, width: int = 1280) -> float:
    """Seconds that `logistic` takes on so many images, at most about: a few steps of one regression are measured."""
    import time

    rows = min(images, MEASURED)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=rng)
    targets = F.one_hot(torch.arange(rows) % classes, classes).float()
    start = time.perf_counter()
    _regression(x, targets, torch.ones(rows), LOGISTIC[-1], most=TRIED)
    each = (time.perf_counter() - start) / TRIED * STEPS * images / rows
    return each * ((PARTS - 1) * len(LOGISTIC) + 1)  # each penalty on all parts but one, in turn


def _regression(
    x: Tensor, targets: Tensor, weights: Tensor, penalty: float, most: int = STEPS
) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy with an L2 penalty, by at most so many steps of L-BFGS from zeros."""
    weight = torch.zeros(targets.shape[1], x.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=most, line_search_fn="strong_wolfe")
    share = weights / weights.sum()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (share * F.cross_entropy(x @ weight.T + bias, targets, reduction="none")).sum()
        loss = loss + penalty * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def _spectrum(a: Tensor) -> tuple[Tensor, Tensor]:
    """(n, d) -> left singular vectors (n, r) and squared singular values (r,), by the smaller Gram matrix.

    In one thread: LAPACK's threads wait for one another in a loop, and a busy machine makes them 20 times slower.
    """
    from threadpoolctl import threadpool_limits

    small = a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a
    with threadpool_limits(1, user_api="blas"):
        values, vectors = map(torch.from_numpy, np.linalg.eigh(small.numpy()))
    keep = values > values.max().clamp(min=1e-30) * 1e-10
    values, vectors = values[keep], vectors[:, keep]
    return (vectors if a.shape[0] <= a.shape[1] else a @ vectors / values.sqrt()), values


def _left_out(
    u: Tensor, kept: Tensor, residual: Tensor, root: Tensor, targets: Tensor, blocks: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """What the ridge says of the first image of each family when the family is left out: scores (k, classes), and the
    rows (k,). Of a family B: (I - H_BB)^-1 (y - H y)_B, H the hat matrix of weighted, centred rows."""
    total = (root**2).sum()
    scores: list[Tensor] = []
    for rows in blocks:
        part, weight = u[rows], root[rows]  # (k, m, r), (k, m)
        hat = (part * kept) @ part.transpose(1, 2) + weight[:, :, None] * weight[:, None, :] / total
        left = torch.linalg.solve(torch.eye(rows.shape[1], dtype=hat.dtype) * (1 + 1e-9) - hat, residual[rows])
        scores.append(targets[rows[:, 0]] - left[:, 0] / root[rows[:, 0], None].clamp(min=1e-6))
    return torch.cat(scores), torch.cat([rows[:, 0] for rows in blocks])


def _batches(families: Sequence[np.ndarray], rank: int) -> list[Tensor]:
    """Rows (k, m) of families of m images each, as many at a time as there is room for."""
    found: list[Tensor] = []
    for size in sorted({len(family) for family in families}):
        alike = torch.from_numpy(np.stack([family for family in families if len(family) == size]))
        found += alike.split(max(1, int(_ROOM / (size * rank))))
    return found


def _kin(pool: TrainingSet) -> tuple[np.ndarray, ...]:
    """The families of each image; one of its own where nobody is related."""
    return pool.kin or tuple(np.array([row]) for row in range(len(pool)))


def _families(pool: TrainingSet) -> list[np.ndarray]:
    """For each image that is left out in turn (the originals, or all where there are none; at most `JUDGES`, evenly
    spread): its row first, then those of its relatives."""
    kin = _kin(pool)
    members: dict[int, list[int]] = {}
    for row, of in enumerate(kin):
        for family in of.tolist():
            members.setdefault(family, []).append(row)
    new = _new(pool)
    judges = np.flatnonzero(~new) if not new.all() else np.arange(len(pool))
    judges = judges[np.linspace(0, len(judges) - 1, min(JUDGES, len(judges))).astype(int)]
    return [
        np.array([row, *sorted({other for family in kin[row].tolist() for other in members[family]} - {row})])
        for row in judges.tolist()
    ]


def _parts(pool: TrainingSet) -> Tensor:
    """The part of each image, (n,): by its first family, so that relatives are mostly together."""
    kin = _kin(pool)
    return torch.tensor([derive_seed("part", int(of[0])) % PARTS for of in kin])


def _new(pool: TrainingSet) -> np.ndarray:
    return np.zeros(len(pool), bool) if pool.new is None else pool.new[: len(pool)]


def _weights(pool: TrainingSet) -> Tensor:
    return torch.ones(len(pool)).double() if pool.weight is None else torch.from_numpy(pool.weight).double()


def _targets(pool: TrainingSet, classes: int) -> Tensor:
    """(n, classes) float64: one-hot, or the soft labels."""
    targets = pool.targets(np.arange(len(pool)))
    return (F.one_hot(targets, classes) if targets.ndim == 1 else targets).double()
