"""Each criterion against a naive loop in float64, and what must hold whatever the numbers."""

from __future__ import annotations

import math

import pytest
import torch

from imaginate.errors import ConfigError
from imaginate.ops.diversity import SHARP, diversity
from imaginate.ops.informativeness import entropy, informativeness


def _random(*shape: int, seed: int = 0, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _softmax(row: list[float]) -> list[float]:
    exps = [math.exp(v) for v in row]
    return [e / math.fsum(exps) for e in exps]


def _h(p: list[float]) -> float:
    return -math.fsum(v * math.log(v) for v in p)


@pytest.mark.parametrize("anchor", ["predicted", "given"])
def test_informativeness_is_equation_5(anchor):
    seeds, copies, labels = _random(4, 6), _random(4, 3, 6, seed=1), torch.tensor([5, 0, 2, 2])
    got = informativeness(seeds, copies, labels, anchor=anchor)
    for b in range(4):
        s = _softmax(seeds[b].tolist())
        j = s.index(max(s)) if anchor == "predicted" else int(labels[b])
        for k in range(3):
            s_new = _softmax(copies[b, k].tolist())
            assert float(got.kept[b, k]) == pytest.approx(s_new[j], abs=1e-12)
            assert float(got.gain[b, k]) == pytest.approx(_h(s_new) - _h(s), abs=1e-12)
            assert float(got.total[b, k]) == pytest.approx(s_new[j] + _h(s_new) - _h(s), abs=1e-12)


@pytest.mark.parametrize("mean", ["feature", "mixture"])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_diversity_is_equation_6(mean, temperature):
    features = _random(3, 4, 5, scale=0.5)
    got = diversity(features, temperature=temperature, mean=mean)
    for b in range(3):
        rows = [[v / temperature for v in row] for row in features[b].tolist()]
        soft = [_softmax(row) for row in rows]
        average = [math.fsum(row[d] for row in rows) / 4 for d in range(5)]
        q = _softmax(average) if mean == "feature" else [math.fsum(p[d] for p in soft) / 4 for d in range(5)]
        for k in range(4):
            naive = math.fsum(p * math.log(p / r) for p, r in zip(soft[k], q, strict=True))
            assert float(got[b, k]) == pytest.approx(naive, abs=1e-12)


def test_entropy_bounds_and_certainty():
    flat = torch.zeros(2, 7)
    assert torch.allclose(entropy(flat), torch.full((2,), math.log(7)))
    sure = torch.tensor([[300.0, 0.0, 0.0]], requires_grad=True)
    h = entropy(sure)
    assert float(h.detach()) == 0
    h.sum().backward()
    assert torch.isfinite(sure.grad).all(), "an underflowed probability must not poison the gradient"
    assert entropy(torch.full((3,), float("nan"))).isnan(), "NaN must be seen, not counted as certainty"


def test_seeds_and_copies_do_not_mix_and_order_is_kept():
    seeds, copies = _random(3, 5), _random(3, 4, 5, seed=2)
    whole = informativeness(seeds, copies).total
    alone = torch.cat([informativeness(seeds[i : i + 1], copies[i : i + 1]).total for i in range(3)])
    assert torch.equal(whole, alone)
    order = torch.tensor([2, 0, 3, 1])
    features = _random(3, 4, 8)
    assert torch.allclose(diversity(features[:, order]), diversity(features)[:, order], atol=1e-15, rtol=0)


def test_identical_copies_have_no_diversity_and_a_single_copy_none():
    one = torch.nn.functional.normalize(_random(2, 1, 16), dim=-1)
    for mean in ("feature", "mixture"):
        assert torch.allclose(
            diversity(one.expand(2, 5, 16), mean=mean), torch.zeros(2, 5, dtype=torch.float64), atol=1e-12
        )
        assert torch.allclose(diversity(one, mean=mean), torch.zeros(2, 1, dtype=torch.float64), atol=1e-12)


def test_why_there_is_a_sharp_form():
    features = torch.nn.functional.normalize(_random(2, 5, 512), dim=-1)
    assert float(diversity(features).mean()) < 2e-3
    assert float(diversity(features, temperature=SHARP).mean()) > 0.3
    assert float(diversity(features, temperature=1e-3, mean="mixture").mean()) <= math.log(5) + 1e-9


def test_gradients_agree_with_finite_differences():
    seeds, copies = _random(2, 4), _random(2, 3, 4, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: informativeness(seeds, c).total, copies)
    assert torch.autograd.gradcheck(lambda f: diversity(f, temperature=0.5), copies)


def test_wrong_words_are_refused_in_one_line():
    with pytest.raises(ConfigError, match="anchor must be one of predicted, given, got 'seed'"):
        informativeness(_random(1, 2), _random(1, 1, 2), anchor="seed")
    with pytest.raises(ConfigError, match="needs the labels"):
        informativeness(_random(1, 2), _random(1, 1, 2), anchor="given")
    with pytest.raises(ConfigError, match="temperature must be > 0, got 0"):
        diversity(_random(1, 2, 3), temperature=0)
