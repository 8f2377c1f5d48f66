"""Flat k-means over unit vectors (Lloyd 1982, on the sphere): the centres of an inverted file.

Every point is compared with every centre. A tree of centres is quicker to train, but its lists find less at equal work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS, STEADY = 15, 0.01  # rounds at most, and the share of points that may still move when it stops
TOGETHER = 2048  # points compared at a time
POINTS_A_CENTRE = 64  # are enough to place it


def train_centres(points: NDArray[np.float32], count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(n, d) unit-norm points -> (count, d) unit-norm centres, the same for the same points and seed."""
    import numpy as np
    import torch

    draw = np.random.default_rng(seed)
    centres = np.ascontiguousarray(points[draw.choice(len(points), count, replace=len(points) < count)])
    before = np.full(len(points), -1, np.int32)
    for _ in range(STEPS):
        nearest = nearest_centres(points, centres)
        sums = torch.zeros(centres.shape).index_add_(0, torch.from_numpy(nearest).long(), torch.from_numpy(points))
        centres = sums.numpy()
        _fill_empty(centres, np.bincount(nearest, minlength=count), points, draw)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-12)
        if (nearest != before).mean() < STEADY:
            break
        before = nearest
    return centres


def nearest_centres(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int32]:
    """(n,) number of the centre with the greatest cosine to each point."""
    import numpy as np

    nearest = np.empty(len(points), np.int32)
    cosines = np.empty((min(TOGETHER, len(points)), len(centres)), np.float32)
    turned = centres.T
    for start in range(0, len(points), TOGETHER):
        some = points[start : start + TOGETHER]
        nearest[start : start + len(some)] = np.matmul(some, turned, out=cosines[: len(some)]).argmax(axis=1)
    return nearest


def _fill_empty(
    sums: NDArray[np.float32], sizes: NDArray[np.int64], points: NDArray[np.float32], draw: np.random.Generator
) -> None:
    """Put a centre that no point is nearest to on a point of its own."""
    empty = (sizes == 0).nonzero()[0]
    if len(empty):
        sums[empty] = points[draw.integers(len(points), size=len(empty))]
