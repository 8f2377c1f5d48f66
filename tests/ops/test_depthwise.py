"""The quick gradient of small depthwise convolutions is the gradient that PyTorch computes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.ops.depthwise import quick_depthwise, weight_gradient


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 6), width=st.integers(1, 6), kernel=st.sampled_from([3, 5, 7]), stride=st.integers(1, 2),
    bias=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_every_gradient_equals_the_plain_one(height, width, kernel, stride, bias, seed):
    torch.manual_seed(seed)
    channels = 3
    x = torch.randn(2, channels, height, width, requires_grad=True)
    layer = torch.nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=bias)
    leaves = [x, *layer.parameters()]
    plain = layer(x)
    out = torch.randn_like(plain)
    with quick_depthwise():
        quick = layer(x)
    assert torch.allclose(quick, plain, atol=1e-6)
    expected = torch.autograd.grad(plain, leaves, out)
    for mine, theirs in zip(torch.autograd.grad(quick, leaves, out), expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_the_gradient_of_the_weights_equals_a_naive_loop():
    torch.manual_seed(0)
    x, gradient = torch.randn(2, 3, 2, 4), torch.randn(2, 3, 1, 2)
    expected = torch.zeros(3, 1, 5, 5)
    padded = F.pad(x, (2, 2, 2, 2))
    for row in range(1):
        for column in range(2):
            patch = padded[:, :, 2 * row : 2 * row + 5, 2 * column : 2 * column + 5]
            expected[:, 0] += (gradient[:, :, row, column, None, None] * patch).sum(0)
    assert torch.allclose(weight_gradient(x, gradient, (5, 5), (2, 2), (2, 2)), expected, atol=1e-5)


def _made_by(layer: torch.nn.Module, x: torch.Tensor) -> str:
    with quick_depthwise():
        return type(layer(x).grad_fn).__name__


@pytest.mark.parametrize(
    ("layer", "size", "quick"),
    [
        (torch.nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), 2, True),
        (torch.nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), 3, False),
        (torch.nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), 2, False),
        (torch.nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False), 2, False),
        (torch.nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False), 2, False),
        (torch.nn.Conv2d(4, 4, 3, padding="same", groups=4, bias=False), 2, False),
    ],
)
def test_it_applies_to_depthwise_kernels_larger_than_the_map(layer, size, quick):
    assert ("_Depthwise" in _made_by(layer, torch.randn(2, 4, size, size))) == quick


def test_nothing_is_replaced_where_no_weight_learns():
    layer = torch.nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False).requires_grad_(False)
    assert "_Depthwise" not in _made_by(layer, torch.randn(2, 4, 2, 2, requires_grad=True))
