"""The ridge head: its closed forms against fits without the row, and what a probability has to hold."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from imaginate.ops.ridge import ridge_head


def _points(counts: tuple[int, ...], dim: int, seed: int = 0, noise: float = 0.6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(len(counts), dim, generator=generator)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return centres[labels] + noise * torch.randn(len(labels), dim, generator=generator) + 3, labels


def _solved(x: torch.Tensor, y: torch.Tensor, share: torch.Tensor, classes: int, penalty: float) -> torch.Tensor:
    """Weights and biases (dim + 1, classes) of the weighted least squares, by the normal equations."""
    rows = torch.cat([x.double(), torch.ones(len(x), 1).double()], 1)
    ridge = torch.eye(rows.shape[1]).double() * penalty
    ridge[-1, -1] = 0  # the bias is free
    return torch.linalg.solve(
        rows.T @ (share[:, None] * rows) + ridge, rows.T @ (share[:, None] * F.one_hot(y, classes))
    )


@pytest.mark.parametrize("dim", [3, 40], ids=["more rows", "more features"])
def test_left_out_logits_are_those_of_a_head_fitted_without_the_row(dim: int) -> None:
    x, y = _points((5, 3, 9), dim)
    head = ridge_head(x, y, 3)
    share = 1 / (3 * torch.bincount(y)[y].double())
    penalty = head.penalty * float((share[:, None] * (x.double() - share @ x.double()) ** 2).sum())
    whole = _solved(x, y, share, 3, penalty)
    scale = head.weight[0].norm() / whole[:-1, 0].norm()  # one over the temperature
    torch.testing.assert_close(head.weight, scale * whole[:-1].T)
    torch.testing.assert_close(head.bias, scale * whole[-1])
    for row in range(len(x)):
        rest = torch.arange(len(x)) != row
        without = _solved(x[rest], y[rest], share[rest], 3, penalty)
        expected = scale * (x[row].double() @ without[:-1] + without[-1])
        torch.testing.assert_close(head.left_out[row], expected)


def test_the_probabilities_of_left_out_rows_are_as_sure_as_they_are_right() -> None:
    x, y = _points((60,) * 5, 20, noise=2.0)
    sure, called = ridge_head(x, y, 5).left_out.softmax(1).max(1)
    right = float((called == y).double().mean())
    assert 0.4 < right < 0.95
    assert abs(float(sure.mean()) - right) < 0.05


def test_a_class_without_a_row_is_never_called() -> None:
    x, y = _points((4, 4), 6)
    head = ridge_head(x, 2 * y, 3)
    assert set(head.logits(x).argmax(1).tolist()) == {0, 2}


def test_moving_and_turning_the_features_changes_no_logit() -> None:
    x, y = _points((6, 6, 6), 8)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)).double())[0]
    moved = x.double() @ turn + 5
    torch.testing.assert_close(ridge_head(x.double(), y, 3).logits(x), ridge_head(moved, y, 3).logits(moved))


@pytest.mark.parametrize("dim", [3, 40], ids=["more rows", "more features"])
def test_rows_of_no_class_are_a_column_of_their_own_with_the_weight_that_is_asked_for(dim: int) -> None:
    x, y = _points((5, 4, 6), dim)
    others = _points((7,), dim, seed=3)[0]
    head = ridge_head(x, y, 3, others=others, weight=1.5)
    rows, kinds = torch.cat([x, others]), torch.cat([y, torch.full((7,), 3)])
    mass = torch.tensor([1, 1, 1, 1.5]).double() / 4.5
    share = (mass / torch.bincount(kinds))[kinds]
    penalty = head.penalty * float((share[:, None] * (rows.double() - share @ rows.double()) ** 2).sum())
    whole = _solved(rows, kinds, share, 4, penalty)
    scale = head.weight[0].norm() / whole[:-1, 0].norm()
    torch.testing.assert_close(head.weight, scale * whole[:-1].T)
    torch.testing.assert_close(head.bias, scale * whole[-1])
    for row in range(len(rows)):
        rest = torch.arange(len(rows)) != row
        without = _solved(rows[rest], kinds[rest], share[rest], 4, penalty)
        torch.testing.assert_close(head.left_out[row], scale * (rows[row].double() @ without[:-1] + without[-1]))
