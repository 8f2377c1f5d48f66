"""By what a pool's images are ranked for a class: a query vector, or a linear head fitted on the seed images.

Both are directions in the guide's space of unit vectors, (classes, dim), so that a pool is searched in one way: the
score w . x + b of a ridge head ranks images as the cosine with w does. The head is discriminative: it knows what the
other classes look like, and gives each image to the class that scores best.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import ConfigError
from imaginate.ops.ridge import RidgeHead, ridge_head

log = logging.getLogger("imaginate")
WEAK = 0.1  # below it, a head does not see what belongs to no class
Score = Literal["query", "head", "auto"]


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """`queries` (classes, dim), unit norm: what the pool is searched with. `head`: whose classes compete, if any; a
    column beyond the classes is of what belongs to none of them."""

    queries: Tensor
    head: RidgeHead | None = None


def head_scorer(seeds: Sequence[Tensor], names: Sequence[str], others: Tensor | None = None) -> Scorer:
    """The head over the seed embeddings (n, dim) of each class. ConfigError for a class without any.

    `others` (m, dim): images of the pool at random, which show the head what belongs to no class. Some may belong to
    one, and in a pool of nothing but the classes all do: so they weigh as the square root of the number of classes (in
    classes), times how far the head tells them from the seeds (Gini coefficient of the left-out scores, 0 to 1).
    """
    for name, vectors in zip(names, seeds, strict=True):
        if not len(vectors):
            raise ConfigError(f"class {name!r} has no seed image to fit a head on: use score query, query text")
    if len(seeds) < 2:
        raise ConfigError("a head needs at least two classes: use score query")
    known, labels, classes = torch.cat(list(seeds)), _labels(seeds), len(seeds)
    weight = 0.0
    if others is not None and len(others):
        weight = math.sqrt(classes)
        strange = ridge_head(known, labels, classes, others=others, weight=weight).left_out[:, -1]
        apart = gini(strange[: len(known)], strange[len(known) :])
        weak = "; images of other things pass for a class: trust no estimate of purity by this guide" * (apart < WEAK)
        log.info(f"the head tells the pool from the seeds by {apart:.2f} (0: they are alike, 1: they differ){weak}")
        weight *= apart
    head = ridge_head(known, labels, classes, others=others if weight > 0 else None, weight=weight)
    return Scorer(queries=F.normalize(head.weight[:classes], dim=-1).float(), head=head)


def gini(low: Tensor, high: Tensor) -> float:
    """2 AUC - 1 of two sets of scores: 1 where all of `high` are above all of `low`, 0 where mixed or below."""
    ordered, high = low.sort().values, high.contiguous()
    below = torch.searchsorted(ordered, high, right=False) + torch.searchsorted(ordered, high, right=True)
    return max(0.0, float(below.double().mean()) / len(low) - 1)


def best_scorer(
    seeds: Sequence[Tensor], names: Sequence[str], texts: Callable[[], Tensor] | None, others: Tensor | None = None
) -> tuple[Scorer, dict[str, float]]:
    """Text, the mean of the seeds, or a head: the one that is right of most seed images that it was made without
    (mean over classes). Returns the scorer and how right each is. `texts`: the sentences' vectors; None: no text."""
    has_seeds = all(len(vectors) for vectors in seeds)
    found: dict[str, tuple[float, Scorer]] = {}
    if has_seeds and len(seeds) > 1:
        scorer = head_scorer(seeds, names, others)
        assert scorer.head is not None
        left_out = scorer.head.left_out[: sum(map(len, seeds)), : len(seeds)]
        found["head"] = (_right(left_out, seeds), scorer)
    if has_seeds:
        centres = torch.stack([F.normalize(vectors.mean(0), dim=0) for vectors in seeds])
        found["seeds"] = (_right(_left_out_of_centres(seeds, centres), seeds), Scorer(queries=centres))
    if texts is not None:
        words = texts()
        known = torch.cat(list(seeds))
        accuracy = _right(known @ words.T, seeds) if len(known) else 0.0
        found["text"] = (accuracy, Scorer(queries=words))
    if not found:
        raise ConfigError("score auto needs seed images of every class, or a guide that reads text")
    best = max(found, key=lambda name: found[name][0])
    shares = {name: round(accuracy, 4) for name, (accuracy, _) in found.items()}
    words_of = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    log.info(f"retrieval scores by {best}; right of seed images that each was made without: {words_of}")
    return found[best][1], shares


def _left_out_of_centres(seeds: Sequence[Tensor], centres: Tensor) -> Tensor:
    """Cosines (n, classes) of all seeds with the centres; with the one of its own class without it. A seed alone in
    its class says nothing of a centre: it counts as called wrongly."""
    rows = []
    for label, vectors in enumerate(seeds):
        near = vectors @ centres.T
        others = F.normalize(vectors.sum(0) - vectors, dim=-1)
        near[:, label] = (vectors * others).sum(1) if len(vectors) > 1 else -1.0
        rows.append(near)
    return torch.cat(rows)


def _right(scores: Tensor, seeds: Sequence[Tensor]) -> float:
    """Mean over the classes that have seeds of the share that is called by its own class."""
    labels = _labels(seeds)
    hit = (scores.argmax(1) == labels).double()
    return float(torch.stack([hit[labels == label].mean() for label in labels.unique()]).mean())


def _labels(seeds: Sequence[Tensor]) -> Tensor:
    return torch.cat([torch.full((len(vectors),), label) for label, vectors in enumerate(seeds)])
