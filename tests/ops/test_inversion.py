"""Circle interpolation against its formula, and DDIM's path both ways."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.ops.inversion import angle, ddim_step, descend, invert, noise_in, on_circle

SHARES = [0.005, 0.1, 0.4, 0.8, 0.999]


def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 4, 4, generator=g).double(), torch.randn(2, 3, 4, 4, generator=g).double()


def at(turn: float) -> torch.Tensor:
    return torch.tensor([turn, turn])


@given(st.integers(0, 100), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_point_on_the_circle_is_equation_4(seed: int, turn: float) -> None:
    a, b = pair(seed)
    got = on_circle(a, b, at(turn))
    for i in range(2):
        first, second = a[i].flatten().tolist(), b[i].flatten().tolist()
        norms = [math.sqrt(sum(x * x for x in row)) for row in (first, second)]
        between = math.acos(sum(x * y for x, y in zip(first, second, strict=True)) / norms[0] / norms[1])
        share = 2 * math.pi * torch.tensor(turn).item() / between  # lambda, in [0, 2 pi / A]
        for value, x, y in zip(got[i].flatten().tolist(), first, second, strict=True):
            wanted = (math.sin((1 - share) * between) * x + math.sin(share * between) * y) / math.sin(between)
            assert value == pytest.approx(wanted, abs=1e-5)


@given(st.integers(0, 100), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_circle_goes_through_both_and_keeps_the_length(seed: int, turn: float) -> None:
    a, b = pair(seed)
    b = b * (a.flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)).view(2, 1, 1, 1)
    assert torch.allclose(on_circle(a, b, at(0.0)), a)
    assert torch.allclose(on_circle(a, b, angle(a, b) / (2 * math.pi)), b)
    assert torch.allclose(on_circle(a, b, at(1.0)), a)
    there = on_circle(a, b, at(turn))
    assert torch.allclose(there.flatten(1).norm(dim=1), a.flatten(1).norm(dim=1))
    assert torch.allclose(on_circle(a, b, at(0.5)), -a, atol=1e-6)  # half of the way round is opposite


def test_one_noise_twice_stays() -> None:
    a, _ = pair(0)
    for other in (a, 2 * a, -a):
        assert torch.allclose(on_circle(a, other, at(0.3)), a)


@given(st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_inversion_is_exact_where_the_prediction_does_not_change(seed: int) -> None:
    x, noise = pair(seed)
    up = invert(x, SHARES, lambda _, step: noise)
    assert torch.allclose(descend(up, SHARES, lambda _, step: noise), x)
    share = SHARES[0]  # and the noise is in it to its share
    assert torch.allclose(up, math.sqrt(share / SHARES[-1]) * (x - math.sqrt(1 - SHARES[-1]) * noise)
                          + math.sqrt(1 - share) * noise)  # fmt: skip


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("image", SHARES)
def test_every_prediction_says_the_same_noise(prediction: str, image: float) -> None:
    clean, noise = pair(3)
    x = math.sqrt(image) * clean + math.sqrt(1 - image) * noise
    v = math.sqrt(image) * noise - math.sqrt(1 - image) * clean
    output = {"epsilon": noise, "sample": clean, "v_prediction": v}[prediction]
    assert torch.allclose(noise_in(output, x, image, prediction), noise, atol=1e-8)
    assert torch.allclose(ddim_step(x, noise, image, 1.0), clean, atol=1e-8)


def test_small_steps_lead_back_to_the_image() -> None:
    """A prediction that depends on the latents, as a network's does: the finer the path, the nearer it comes back."""
    x, _ = pair(5)

    def away(count: int) -> float:
        shares = [float(s) for s in torch.linspace(0.01, 0.999, count + 1)]

        def predict(y: torch.Tensor, step: int) -> torch.Tensor:
            return 0.7 * y * math.sqrt(1 - shares[step])

        return float((descend(invert(x, shares, predict), shares, predict) - x).abs().max())

    assert away(200) < away(50) < away(10)
    assert away(400) < 0.05
