"""k-means (Lloyd 1982) started by k-means++ (Arthur & Vassilvitskii 2007), repeatable from a seed."""

from __future__ import annotations

import torch


def kmeans(points: torch.Tensor, clusters: int, *, seed: int = 0, steps: int = 100) -> torch.Tensor:
    """(n, d) points -> (n,) cluster of each, in [0, min(clusters, n)); every cluster has at least one point."""
    points = points.double()
    clusters = min(clusters, len(points))
    centres = _spread(points, clusters, torch.Generator().manual_seed(seed))
    assigned = torch.full((len(points),), -1)
    for _ in range(steps):
        nearest = torch.cdist(points, centres).argmin(1)
        nearest = _fill(points, centres, nearest, clusters)
        if torch.equal(nearest, assigned):
            break
        assigned = nearest
        centres = torch.stack([points[assigned == k].mean(0) for k in range(clusters)])
    return assigned


def _spread(points: torch.Tensor, clusters: int, generator: torch.Generator) -> torch.Tensor:
    """k-means++: each next centre is a point drawn by its squared distance to the nearest centre so far."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    while len(chosen) < clusters:
        far = torch.cdist(points, points[chosen]).amin(1).square()
        far[chosen] = 0
        weights = far if far.sum() > 0 else torch.ones(len(points)).index_fill(0, torch.tensor(chosen), 0)
        chosen.append(int(torch.multinomial(weights.double(), 1, generator=generator)))
    return points[chosen]


def _fill(points: torch.Tensor, centres: torch.Tensor, nearest: torch.Tensor, clusters: int) -> torch.Tensor:
    """Give an empty cluster the point that is farthest from its own centre, out of a cluster of several."""
    nearest = nearest.clone()
    for k in range(clusters):
        if not (nearest == k).any():
            sizes = torch.bincount(nearest, minlength=clusters)
            away = (points - centres[nearest]).square().sum(1)
            away[sizes[nearest] < 2] = -1
            nearest[int(away.argmax())] = k
    return nearest
