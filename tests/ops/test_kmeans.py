"""k-means finds what is there, repeats itself, and never leaves a cluster empty."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.ops.kmeans import kmeans


def test_separated_clusters_are_found() -> None:
    draw = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0], [10, 0], [0, 10]])
    truth = torch.arange(3).repeat(20)
    points = centres[truth] + 0.3 * torch.randn(60, 2, generator=draw)
    found = kmeans(points, 3, seed=1)
    assert len({(int(a), int(b)) for a, b in zip(truth, found, strict=True)}) == 3
    assert torch.equal(found, kmeans(points, 3, seed=1))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), k=st.integers(1, 15), same=st.booleans(), seed=st.integers(0, 9))
def test_every_cluster_has_a_point(n: int, k: int, same: bool, seed: int) -> None:
    points = torch.zeros(n, 2) if same else torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    found = kmeans(points, k, seed=seed)
    assert set(found.tolist()) == set(range(min(n, k)))
