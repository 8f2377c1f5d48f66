"""The plane of a map: the two directions of most variance, whatever the turn and the place of the cloud."""

from __future__ import annotations

import pytest
import torch

from imaginate.ops.plane import plane


def test_the_two_widest_directions_with_their_shares() -> None:
    flat = torch.randn(200, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flat = (flat - flat.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(flat.T))).T
    sizes = torch.tensor([5.0, 3.0, 1.0, 0.5, 0.1, 0.0], dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    places, shares = plane((flat * sizes) @ turn + 7, (flat * sizes) @ turn + 7)
    total = float((sizes**2).sum())
    assert shares == (pytest.approx(25 / total), pytest.approx(9 / total))
    assert torch.allclose(places.abs(), (flat * sizes)[:, :2].abs(), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_or_equal_rows_are_a_picture_too(rows: int) -> None:
    same = torch.ones(rows, 4)
    places, shares = plane(same, same)
    assert places.shape == (rows, 2)
    assert torch.isfinite(places).all()
    assert shares == (0.0, 0.0)
