"""The order of a list of neighbours: relevance against diversity, or one appearance of the class after the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imaginate.ops.kmeans import kmeans


def mmr(relevance: Tensor, vectors: Tensor, weight: float) -> list[int]:
    """Maximal marginal relevance (Carbonell & Goldstein 1998): next is the row with the best
    `weight * relevance - (1 - weight) * nearest among those taken`; (n,), (n, dim) -> an order of all rows.

    Differs: both parts are scaled to [0, 1] over the list, since text-image cosines span less than image-image ones.
    """
    wanted = _unit(relevance)
    alike = _unit((vectors @ vectors.T).flatten()).view(len(vectors), -1)
    nearest = torch.zeros(len(vectors))
    taken: list[int] = []
    left = torch.ones(len(vectors), dtype=torch.bool)
    while len(taken) < len(vectors):
        value = weight * wanted - (1 - weight) * nearest
        best = int(value.masked_fill(~left, -math.inf).argmax())
        taken.append(best)
        left[best] = False
        nearest = torch.maximum(nearest, alike[best])
    return taken


def coverage(vectors: Tensor, clusters: int) -> list[int]:
    """k-means over the list (nearest first), then one row of each cluster in turn: every appearance of the class has
    its share. (n, dim) -> an order of all rows; within a cluster the order stays."""
    groups = kmeans(vectors, clusters).tolist()
    turns: dict[int, int] = {}
    places = []
    for i, group in enumerate(groups):
        turns[group] = turns.get(group, -1) + 1
        places.append((turns[group], i))
    return [i for _, i in sorted(places)]


def _unit(values: Tensor) -> Tensor:
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp_min(1e-12)
