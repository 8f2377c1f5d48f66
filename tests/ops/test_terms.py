"""The terms of the learner against plain loops, and what they have in common."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.methods.core.imagination import scores
from imaginate.ops.guidance import Added, Scores, ascend
from imaginate.ops.terms import Terms, Weights, chamfer, loss, prototype_distance, prototypes_of
from imaginate.ops.variants import variant

N, K, D, C = 3, 4, 5, 4
torch.set_num_threads(1)


def unit(seed: int, *shape: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=g).double(), dim=-1)


def distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def problem(seed: int) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Logits, embeddings, the seed images of each class (of different numbers) and labels."""
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(N, K, C, generator=g).double()
    return (
        logits,
        unit(seed + 1, N, K, D),
        [unit(seed + 10 + i, 2 + 3 * i, D) for i in range(N)],
        torch.tensor([1, 0, 3]),
    )


def naive(name: str, i: int, j: int, seed: int) -> float:
    logits, embeddings, seeds, labels = problem(seed)
    e, own = embeddings[i].tolist(), seeds[i].tolist()
    exps = [math.exp(x) for x in logits[i, j].tolist()]
    p = [x / sum(exps) for x in exps]
    if name == "entropy":
        return -sum(x * math.log(x) for x in p)
    if name == "loss":
        return -math.log(p[int(labels[i])])
    if name == "prototypes":
        first, *rest = prototypes_of(seeds[i]).tolist()
        return -(distance(e[j], first) ** 2 + min(distance(e[j], m) ** 2 for m in rest or [first]))
    covered = sum(min(distance(copy, r) for copy in e) for r in own) / len(own)
    return -(min(distance(e[j], r) for r in own) + covered)


@given(st.integers(0, 50), st.sampled_from(["entropy", "loss", "prototypes", "chamfer"]), st.floats(0.1, 10))
@settings(max_examples=40, deadline=None)
def test_each_term_is_its_formula(seed: int, name: str, weight: float) -> None:
    logits, embeddings, seeds, labels = problem(seed)
    how = Terms(
        weights=Weights(**{name: weight}), labels=labels, prototypes=[prototypes_of(s) for s in seeds], seeds=seeds
    )
    got = how.values(logits, embeddings)
    for i in range(N):
        for j in range(K):
            assert got[i, j].item() == pytest.approx(weight * naive(name, i, j, seed), abs=1e-6)


@given(st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_terms_add_up(seed: int) -> None:
    logits, embeddings, seeds, labels = problem(seed)
    weights = {"entropy": 0.5, "loss": 2.0, "prototypes": 0.3, "chamfer": 1.5}
    parts = {"labels": labels, "prototypes": [prototypes_of(s) for s in seeds], "seeds": seeds}
    together = Terms(weights=Weights(**weights), **parts).values(logits, embeddings)
    alone = sum(Terms(weights=Weights(**{n: w}), **parts).values(logits, embeddings) for n, w in weights.items())
    assert torch.allclose(together, alone)


def test_chamfer_is_the_distance_of_the_two_sets_and_nothing_where_they_are_the_same() -> None:
    _, embeddings, seeds, _ = problem(0)
    for copies, own in zip(embeddings, seeds, strict=True):
        away = torch.cdist(copies, own)
        expected = away.amin(1).mean() + away.amin(0).mean()
        assert chamfer(copies[None], [own]).mean().item() == pytest.approx(expected.item(), abs=1e-6)
    same = seeds[2][None].clone().requires_grad_()
    value = chamfer(same, [seeds[2]]).sum()
    assert value.item() == pytest.approx(0, abs=1e-4)
    (slope,) = torch.autograd.grad(value, same)
    assert slope.isfinite().all()


def test_prototypes_are_the_mean_and_those_of_groups_where_there_are_images_enough() -> None:
    few, many = unit(0, 5, D), torch.cat([unit(i, 1, D) + 0.01 * unit(9 + i, 4, D) for i in range(3)])
    assert torch.allclose(prototypes_of(few), few.mean(0, keepdim=True))
    found = prototypes_of(many)
    assert len(found) == 4
    assert torch.allclose(found[0], many.mean(0))
    groups = torch.stack([many[4 * i : 4 * i + 4].mean(0) for i in range(3)])
    assert torch.cdist(found[1:], groups).amin(0).max() < 1e-9
    assert torch.allclose(prototype_distance(few[None, :1], [few[:1]]), torch.zeros(1, 1).double())
    assert loss(torch.zeros(1, 1, C), torch.tensor([0])).item() == pytest.approx(math.log(C))


@pytest.mark.parametrize("name", ["entropy", "loss", "prototypes", "chamfer"])
@pytest.mark.parametrize("seed", range(3))
def test_the_ascent_climbs_s_with_its_terms(name: str, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    f = torch.randn(N, 1, D, generator=g).double().expand(N, K, D)
    z, b = torch.rand(N, K, D, generator=g).double(), torch.randn(N, K, D, generator=g).double()
    head = torch.randn(D, C, generator=g).double()
    _, _, seeds, labels = problem(seed)
    how = Terms(weights=Weights(**{name: 50}), labels=labels, prototypes=[prototypes_of(s) for s in seeds], seeds=seeds)

    def score(latents: torch.Tensor) -> Scores:
        seen = torch.nn.functional.normalize(latents, dim=-1)
        return scores(
            f[:, 0] @ head, latents @ head, latents, variant("default"), added=Added.of(how, latents @ head, seen)
        )

    found = ascend(f, z, b, score, eps=0.8, variant=variant("default", 8))
    assert found.before.added is not None
    assert found.after.added is not None
    assert (found.after.total.sum(1) > found.before.total.sum(1)).all()
    assert found.after.added.values.sum() > found.before.added.values.sum()
    assert torch.allclose(found.after.total, score(found.latents).total)
