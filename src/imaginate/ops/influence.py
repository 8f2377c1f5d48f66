"""What an image would change if it were trained on: its influence on the loss of held-back images, in closed form.

A ridge head W = (X'X + l I)^-1 X'Y on features x with targets y, one-hot or shares of several classes. A new image
(z, t) of weight w moves it by

    W' - W = w A^-1 z (t - W'z)' / (1 + w z'A^-1 z),   A = X'X + l I      (Sherman & Morrison 1950)

so that the scores s = W'x of a held-back image move by p r, with r = t - W'z the residual of the new image and
p = w x'A^-1 z / (1 + w z'A^-1 z): no head is fitted again. What that is worth is the change of the log loss of
softmax(s / T). The temperature T is the best one for the held-back images, so that scores which only grow, as those of
any ridge head do with more images, gain nothing (squared error would call that help). Compare Koh &
Liang 2017, whose influence is the first order of this. Ours: cross-fitted, every fold of the seeds held back in turn,
and an image that comes from a seed of a fold says nothing there, so that no image judges itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.ops.ridge import TEMPERATURES, ridge_head

CELLS = 4_000_000  # scores in memory at a time


@dataclass(frozen=True, kw_only=True)
class Offers:
    """Images that may be taken. `features` (m, d), unit norm; `labels` (m,): the class that each would be taken for;
    `banned` (m, folds): whether an image comes from a seed of the fold. `shares` (m, classes): soft labels, rows that
    sum to 1; without them each image is of its class alone."""

    features: Tensor
    labels: Tensor
    banned: Tensor
    shares: Tensor | None = None

    def only(self, rows: Tensor) -> Offers:
        """Some of them, by row."""
        shares = None if self.shares is None else self.shares[rows]
        return Offers(features=self.features[rows], labels=self.labels[rows], banned=self.banned[rows], shares=shares)

    def targets(self, classes: int) -> Tensor:
        """(m, classes) double."""
        return (F.one_hot(self.labels, classes) if self.shares is None else self.shares).double()


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Of held-back seeds, mean over classes: `log` loss at the best temperature, in nats; `wrong` share in [0, 1]."""

    log: float
    wrong: float


class HeldBack:
    """A ridge head for each fold of the seeds, fitted on the other folds; images are added to all of them."""

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        folds: Tensor,
        classes: int,
        *,
        weight: float = 1.0,
        only: Sequence[int] | None = None,
    ) -> None:
        """Features (n, d), unit norm; labels and folds (n,). `weight`: of a new image next to a seed's 1. `only`: the
        folds that are held back, all by default."""
        self.classes, self.weight = classes, weight
        self._x, self._y = _with_one(features), F.one_hot(labels, classes).double()
        self._folds, self._numbers = folds, [int(k) for k in folds.unique()] if only is None else list(only)
        count = self._y.sum(0)
        self._share = 1 / (count[labels] * (count > 0).sum())  # every class weighs the same; sums to 1
        penalty = ridge_head(features, labels, classes).penalty
        spread = float(((features.double() - features.double().mean(0)) ** 2).sum(1).mean())
        eye = torch.full((self._x.shape[1],), penalty * spread * len(features), dtype=torch.float64)
        eye[-1] = 1e-6  # the constant is hardly held back
        self._fits = {k: _fit(self._x[folds != k], self._y[folds != k], torch.diag(eye)) for k in self._numbers}

    def add(self, offers: Offers) -> None:
        """Train on these images too, in each fold but those that they come from."""
        z, t = _with_one(offers.features), offers.targets(self.classes)
        for k, fit in self._fits.items():
            own = ~offers.banned[:, k]
            gram = fit.gram + self.weight * z[own].T @ z[own]
            self._fits[k] = _solved(gram, fit.moment + self.weight * z[own].T @ t[own])

    def influence(self, offers: Offers) -> Tensor:
        """(m,): the mean change of the held-back loss, in nats, if the image alone were added; below 0 it helps.
        Infinite for an image that comes from seeds of every fold."""
        z, t = _with_one(offers.features), offers.targets(self.classes)
        total, heard = torch.zeros(len(z), dtype=torch.float64), torch.zeros(len(z), dtype=torch.float64)
        warm = self._temperature()
        for k, fit in self._fits.items():
            x, y, share = self._held(k)
            moved = torch.cholesky_solve(z.T, fit.root)  # (d, m): A^-1 z
            pull = self.weight * (x @ moved) / (1 + self.weight * (z.T * moved).sum(0))  # (n, m)
            after = _moved_loss(x @ fit.head / warm, pull / warm, t - z @ fit.head, y.argmax(1), share / share.sum())
            heard_here = (~offers.banned[:, k]).double()
            total += heard_here * (after - _log_loss(x @ fit.head / warm, y, share / share.sum()))
            heard += heard_here
        return torch.where(heard > 0, total / heard.clamp(min=1), torch.inf)

    def loss(self) -> Loss:
        """Of all held-back seeds, each by the head that did not see it."""
        scores, y, share = self._scores()
        share = share / share.sum()
        wrong = float((share * (scores.argmax(1) != y.argmax(1))).sum())
        return Loss(log=_log_loss(scores / self._temperature(), y, share), wrong=wrong)

    def _temperature(self) -> float:
        scores, y, share = self._scores()
        return min(TEMPERATURES, key=lambda t: _log_loss(scores / t, y, share / share.sum()))

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, targets and weights of all held-back seeds."""
        parts = [(x @ fit.head, y, share) for fit, (x, y, share) in ((f, self._held(k)) for k, f in self._fits.items())]
        scores, y, share = (torch.cat(part) for part in zip(*parts, strict=True))
        return scores, y, share

    def _held(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features, targets and weights of the fold's own seeds."""
        own = self._folds == k
        return self._x[own], self._y[own], self._share[own]


def _moved_loss(scores: Tensor, pull: Tensor, rest: Tensor, labels: Tensor, share: Tensor) -> Tensor:
    """(m,): the log loss of n images whose scores (n, classes) are moved by pull_nm rest_m, `CELLS` at a time."""
    count = max(1, CELLS // scores.numel())
    parts = []
    for start in range(0, pull.shape[1], count):
        some = slice(start, start + count)
        moved = scores[:, None] + pull[:, some, None] * rest[None, some]
        own = moved.gather(2, labels[:, None, None].expand(-1, moved.shape[1], 1))[..., 0]
        parts.append(share @ (moved.logsumexp(2) - own))
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def _log_loss(scores: Tensor, y: Tensor, share: Tensor) -> float:
    return -float((share[:, None] * y * scores.log_softmax(1)).sum())


class Chooser:
    """The offers of each class in the order in which they are taken, `step` of each class a round; after each round
    every influence is computed again, so that more of the same helps less and less.

    An image that would harm is not taken, nor one whose cosine with a taken image of its class is at least `alike`.
    `force`: those that would harm too, the least harmful first. `coverage` in [0, 1]: the share of the order that goes
    by what an image adds to facility location (Lin & Bilmes 2011) over the class's own offers i,

        f(S) = sum_i max(0, max over s in S of cos(i, s)),

    the rest by influence, each over the largest of the images that may be taken.
    """

    def __init__(
        self, held: HeldBack, offers: Offers, *, step: int, alike: float, force: bool, coverage: float = 0.0
    ) -> None:
        self.held = held
        self.taken: list[list[int]] = [[] for _ in range(held.classes)]  # rows, by class
        self.scores: dict[int, float] = {}  # row -> its influence when it was taken
        self._offers, self._step, self._alike, self._force, self._coverage = offers, step, alike, force, coverage
        self._open = torch.ones(len(offers.labels), dtype=torch.bool)

    def up_to(self, count: int, label: int) -> list[int]:
        """The rows of a class, `count` of them where there are as many."""
        while len(self.taken[label]) < count and self.take():
            pass
        return self.taken[label][:count]

    def take(self) -> bool:
        """One more round; whether it found any."""
        score = torch.where(self._open, self.held.influence(self._offers), torch.inf)
        fresh = [row for label in range(self.held.classes) for row in self._best(score, label)]
        if not fresh:
            return False
        for row in fresh:
            self.taken[int(self._offers.labels[row])].append(row)
            self.scores[row] = float(score[row])
        self._open[fresh] = False
        self.held.add(self._offers.only(torch.tensor(fresh)))
        return True

    def _best(self, score: Tensor, label: int) -> list[int]:
        own = (self._offers.labels == label).nonzero().flatten()
        allowed = own[score[own] < (torch.inf if self._force else 0.0)]
        found: list[int] = []
        while len(found) < self._step and len(allowed):
            near = self._offers.features[allowed] @ self._offers.features[self.taken[label] + found].T
            allowed = allowed[(near < self._alike).all(1)]
            if len(allowed):
                worth = self._worth(score, allowed, own, self.taken[label] + found)
                found.append(int(allowed[worth.argsort(descending=True, stable=True)[0]]))
                allowed = allowed[allowed != found[-1]]
        return found

    def _worth(self, score: Tensor, rows: Tensor, own: Tensor, taken: Sequence[int]) -> Tensor:
        """The worth of each of `rows`, (m,): by influence, and by what it adds to the cover of its class's offers."""
        help_ = -score[rows]
        if not self._coverage:
            return help_
        features = self._offers.features
        added = added_cover(features[own] @ features[rows].T, features[own] @ features[list(taken)].T)
        return (1 - self._coverage) * _over_largest(help_) + self._coverage * _over_largest(added)


def added_cover(near: Tensor, taken: Tensor) -> Tensor:
    """What each of m images adds to facility location: cosines (n, m) of all n images with them, and (n, k) with the
    taken ones -> (m,), never below 0."""
    covered = taken.max(1).values.clamp(min=0) if taken.shape[1] else near.new_zeros(len(near))
    return (near - covered[:, None]).clamp(min=0).sum(0)


def _over_largest(values: Tensor) -> Tensor:
    return values.double() / values.abs().max().clamp(min=1e-12).double()


@dataclass(frozen=True, kw_only=True)
class _Fit:
    gram: Tensor
    moment: Tensor
    root: Tensor
    head: Tensor


def _fit(x: Tensor, y: Tensor, held: Tensor) -> _Fit:
    return _solved(x.T @ x + held, x.T @ y)


def _solved(gram: Tensor, moment: Tensor) -> _Fit:
    root = torch.linalg.cholesky(gram)
    return _Fit(gram=gram, moment=moment, root=root, head=torch.cholesky_solve(moment, root))


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features.double().cpu(), torch.ones(len(features), 1, dtype=torch.float64)], 1)
