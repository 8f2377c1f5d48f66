"""Guided latent optimisation: climb S_inf + S_div over the noise z and b of every copy (GIF, Eq. 2).

The latent f' = P((1 + z) f + b) of each copy moves by sign-gradient steps on z and b (the released step), all copies of
all seeds at once. Seeds do not see one another: the sum of their scores has separate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from imaginate.errors import ModelError
from imaginate.ops.chunks import is_out_of_memory
from imaginate.ops.diversity import diversity
from imaginate.ops.perturb import perturb
from imaginate.ops.project import project
from imaginate.ops.terms import Terms
from imaginate.ops.variants import Variant


class Added(NamedTuple):
    """What terms of the learner add to S, (n, k), and what they are computed from: logits (n, k, c), embeddings
    (n, k, d)."""

    values: Tensor
    logits: Tensor
    embeddings: Tensor
    terms: Terms

    @classmethod
    def of(cls, terms: Terms | None, logits: Tensor, embeddings: Tensor) -> Added | None:
        """The terms of these copies; None without terms."""
        return None if terms is None else cls(terms.values(logits, embeddings), logits, embeddings, terms)

    def detach(self) -> Added:
        """The same numbers without their graph."""
        return Added(self.values.detach(), self.logits.detach(), self.embeddings.detach(), self.terms)

    def where(self, chosen: Tensor, other: Added) -> Added:
        """Copy by copy; computed anew, for a term may compare the copies of a seed with one another."""
        logits = pick_rows(chosen, self.logits, other.logits)
        embeddings = pick_rows(chosen, self.embeddings, other.embeddings)
        return Added(self.terms.values(logits, embeddings), logits, embeddings, self.terms)


class Scores(NamedTuple):
    """The parts of S for every copy, each (n, k); its predicted class (n, k) and the seed's (n, 1); the features
    (n, k, d) that diversity is taken on; the decoded images or None; what terms of the learner add, or None."""

    kept: Tensor
    gain: Tensor
    diversity: Tensor
    predicted: Tensor
    anchor: Tensor
    features: Tensor
    images: Tensor | None = None
    added: Added | None = None

    @property
    def total(self) -> Tensor:
        """S = s'_j + entropy gain + diversity, and the terms of the learner, (n, k)."""
        total = self.kept + self.gain + self.diversity
        return total if self.added is None else total + self.added.values

    @property
    def stays(self) -> Tensor:
        """(n, k): whether the copy is seen as the seed's class."""
        return self.predicted == self.anchor

    def detach(self) -> Scores:
        """The same numbers without their graph."""
        images = None if self.images is None else self.images.detach()
        return Scores(
            self.kept.detach(),
            self.gain.detach(),
            self.diversity.detach(),
            self.predicted.detach(),
            self.anchor,
            self.features.detach(),
            images,
            None if self.added is None else self.added.detach(),
        )

    def where(self, chosen: Tensor, other: Scores, variant: Variant) -> Scores:
        """Copy by copy (n, k), `self` where chosen, else `other`; the diversity of the mixture is computed anew."""
        images = None
        if self.images is not None and other.images is not None:
            images = pick_rows(chosen, self.images, other.images)
        features = pick_rows(chosen, self.features, other.features)
        added = None
        if self.added is not None and other.added is not None:
            added = self.added.where(chosen, other.added)
        return Scores(
            pick_rows(chosen, self.kept, other.kept),
            pick_rows(chosen, self.gain, other.gain),
            diversity(features, temperature=variant.temperature, mean=variant.mean),
            pick_rows(chosen, self.predicted, other.predicted),
            self.anchor,
            features,
            images,
            added,
        )


class Climb(NamedTuple):
    """Latents to save (n, k, ...), inside the eps-ball of f, the scores before and after guidance, and the latents at
    which it began."""

    latents: Tensor
    before: Scores
    after: Scores
    start: Tensor

    @property
    def moves(self) -> Tensor:
        """(n, k): how far guidance moved each copy, by the entry that moved most."""
        return (self.latents - self.start).flatten(2).abs().amax(dim=2)


Score = Callable[[Tensor], Scores]


def scaled_draws(z: Tensor, b: Tensor, eps: float, variant: Variant) -> tuple[Tensor, Tensor]:
    """Draws as in Eq. 1, or scaled by min(1, eps), so that most of the perturbation starts inside the ball."""
    size = min(1.0, eps) if variant.scaled else 1.0
    return z * size, b * size


def inside(f: Tensor, z: Tensor, b: Tensor, eps: float, *, straight: bool = False) -> Tensor:
    """P_{f,eps}((1 + z) f + b). `straight` lets the gradient pass where the projection clips."""
    free = perturb(f, z, b)
    held = project(free, f, eps)
    return free + (held - free).detach() if straight else held


def ascend(
    f: Tensor, z: Tensor, b: Tensor, score: Score, *, eps: float, variant: Variant, shrink: Callable[[], bool] = bool
) -> Climb:
    """Climb S from the draws z, b (n, k, ...) of the latents f (n, k, ...); what comes back is inside the ball.

    `score` maps latents (n, k, ...) to Scores. `shrink` makes its micro-batches smaller after running out of memory.
    """
    z, b = scaled_draws(z, b, eps, variant)
    if variant.ascent_steps == 0:
        held = inside(f, z, b, eps)
        only = _measure(score, held)
        return Climb(held, only, only, held)

    def slope(z: Tensor, b: Tensor) -> tuple[Scores, Tensor, Tensor]:
        return _gradient(f, z, b, score, eps, variant, shrink)

    take_steps = _step_uphill if variant.backtrack else _step_straight
    size = variant.step * (min(1.0, eps) if variant.scaled else 1.0)
    return take_steps(f, z, b, score, slope, size, eps, variant)


Slope = Callable[[Tensor, Tensor], tuple[Scores, Tensor, Tensor]]


def _step_straight(
    f: Tensor, z: Tensor, b: Tensor, score: Score, slope: Slope, size: float, eps: float, variant: Variant
) -> Climb:
    """A fixed number of sign steps, wherever they lead (`paper`, `released`)."""
    start = inside(f, z, b, eps)
    before = None if variant.projected else _measure(score, start)
    for _ in range(variant.ascent_steps):
        now, dz, db = slope(z, b)
        before = now if before is None else before
        z, b = z + size * dz.sign(), b + size * db.sign()
    latents = inside(f, z, b, eps)
    after = _measure(score, latents)
    return Climb(latents, after if before is None else before, after, start)


def _step_uphill(
    f: Tensor, z: Tensor, b: Tensor, score: Score, slope: Slope, size: float, eps: float, variant: Variant
) -> Climb:
    """Sign steps that only ever raise S and never lead a copy out of the seed's class (`default`).

    A copy whose step would leave the class stays where it is; a seed whose copies would then score lower stays as a
    whole. What stays tries half the step next time.
    """
    best, dz, db = slope(z, b)
    before, start = best, inside(f, z, b, eps)
    latents = start
    sizes = torch.full((*f.shape[:2], *([1] * (z.ndim - 2))), size, dtype=z.dtype, device=z.device)
    for left in reversed(range(variant.ascent_steps)):
        next_z, next_b = z + sizes * dz.sign(), b + sizes * db.sign()
        there = inside(f, next_z, next_b, eps)
        now, next_dz, next_db = slope(next_z, next_b) if left else (_measure(score, there), dz, db)
        moves = now.stays | ~best.stays
        mixed = now.where(moves, best, variant)
        moves = moves & (mixed.total.sum(dim=1) > best.total.sum(dim=1)).unsqueeze(1)
        best = now.where(moves, best, variant)
        z, b = pick_rows(moves, next_z, z), pick_rows(moves, next_b, b)
        dz, db = pick_rows(moves, next_dz, dz), pick_rows(moves, next_db, db)
        latents, sizes = pick_rows(moves, there, latents), pick_rows(moves, sizes, sizes / 2)
    return Climb(latents, before, best, start)


def _gradient(
    f: Tensor, z: Tensor, b: Tensor, score: Score, eps: float, variant: Variant, shrink: Callable[[], bool]
) -> tuple[Scores, Tensor, Tensor]:
    """The scores at z, b and the gradient of their sum, in micro-batches that fit."""
    while True:
        try:
            with torch.enable_grad():
                z, b = z.detach().requires_grad_(), b.detach().requires_grad_()
                latents = inside(f, z, b, eps, straight=variant.straight) if variant.projected else perturb(f, z, b)
                scores = score(latents)
                dz, db = torch.autograd.grad(scores.total.sum(), (z, b))
            return scores.detach(), dz, db
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if not shrink():
            raise ModelError("out of memory while guiding one image: use a smaller model or precision")


def _measure(score: Score, latents: Tensor) -> Scores:
    with torch.no_grad():
        return score(latents).detach()


def pick_rows(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Copy by copy: `a` where `chosen` (n, k), else `b`; both (n, k, ...)."""
    return torch.where(chosen.view(*chosen.shape, *([1] * (a.ndim - 2))), a, b)
