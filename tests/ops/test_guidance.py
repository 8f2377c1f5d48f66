"""GIF Eqs. 1 and 2 against plain float64 loops, and what each variant is defined to do."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.errors import ModelError
from imaginate.methods.core.imagination import scores
from imaginate.ops.diversity import diversity
from imaginate.ops.guidance import Scores, ascend, inside, scaled_draws
from imaginate.ops.informativeness import informativeness
from imaginate.ops.noise import normal, pick, uniform
from imaginate.ops.perturb import draw, noise_shape, perturb
from imaginate.ops.project import project
from imaginate.ops.variants import VARIANTS, variant

N, K, D, C = 3, 4, 6, 5
torch.set_num_threads(1)


def problem(seed: int = 0, eps: float = 0.8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    f = torch.randn(N, 1, D, generator=g).double().expand(N, K, D)
    z = torch.rand(N, K, D, generator=g).double()
    b = torch.randn(N, K, D, generator=g).double()
    return f, z, b, torch.randn(D, C, generator=g).double()


def scorer(f: torch.Tensor, head: torch.Tensor, name: str):  # type: ignore[no-untyped-def]
    def score(latents: torch.Tensor) -> Scores:
        return scores(f[:, 0] @ head, latents @ head, latents, variant(name), images=latents)

    return score


def naive_total(f: torch.Tensor, latents: torch.Tensor, head: torch.Tensor) -> float:
    """S of one seed by Eqs. 5 and 6 at temperature 1, in plain loops."""

    def softmax(v: list[float]) -> list[float]:
        top = max(v)
        e = [math.exp(x - top) for x in v]
        return [x / sum(e) for x in e]

    def entropy(p: list[float]) -> float:
        return -sum(x * math.log(x) for x in p)

    s = softmax((f @ head).tolist())
    j = s.index(max(s))
    mean = softmax([sum(col) / len(latents) for col in zip(*latents.tolist(), strict=True)])
    total = 0.0
    for row in latents:
        p = softmax((row @ head).tolist())
        q = softmax(row.tolist())
        total += p[j] + entropy(p) - entropy(s) + sum(a * math.log(a / m) for a, m in zip(q, mean, strict=True))
    return total


def test_score_is_equations_5_and_6() -> None:
    f, z, b, head = problem()
    latents = inside(f, z, b, 0.8)
    total = scorer(f, head, "paper")(latents).total.sum(dim=1)
    for i in range(N):
        assert total[i].item() == pytest.approx(naive_total(f[i, 0], latents[i], head), abs=1e-9)


@given(
    st.lists(st.floats(-20, 20), min_size=6, max_size=6),
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.floats(1e-3, 5),
)
@settings(max_examples=40, deadline=None)
def test_perturbation_and_projection_are_equation_1(f: list[float], z: list[float], eps: float) -> None:
    latent, noise = torch.tensor(f, dtype=torch.float64), torch.tensor(z, dtype=torch.float64)
    bias = noise.flip(0) * 3 - 1
    got = project(perturb(latent, noise, bias), latent, eps)
    for i in range(6):
        free = (1 + z[i]) * f[i] + bias[i].item()
        assert got[i].item() == pytest.approx(min(max(free, f[i] - eps), f[i] + eps), abs=1e-9)
    assert torch.equal(project(got, latent, eps), got)


def test_straight_projection_has_the_same_value_and_a_free_gradient() -> None:
    f, z, b, _ = problem()
    z.requires_grad_()
    held, straight = inside(f, z, b, 0.3), inside(f, z, b, 0.3, straight=True)
    assert torch.allclose(held, straight)
    clipped = (held - f).abs() >= 0.3 - 1e-12
    assert clipped.any()
    (grad,) = torch.autograd.grad(held.sum(), z)
    assert (grad[clipped] == 0).all()
    (grad,) = torch.autograd.grad(straight.sum(), z)
    assert torch.allclose(grad, f)


@pytest.mark.parametrize(
    ("shape", "level", "expected"),
    [
        ((4, 8, 8), "channel", (4, 1, 1)),
        ((4, 8, 8), "token", (1, 8, 8)),
        ((17, 16), "channel", (1, 16)),
        ((17, 16), "token", (17, 1)),
        ((17, 16), "full", (17, 16)),
        ((16,), "channel", (16,)),
        ((16,), "full", (16,)),
    ],
)
def test_which_entries_share_a_draw(shape: tuple[int, ...], level: str, expected: tuple[int, ...]) -> None:
    assert noise_shape(shape, level) == expected  # type: ignore[arg-type]


def test_draws_belong_to_the_image() -> None:
    z, b = draw([5, 6, 7], (4, 8, 8), "channel")
    alone_z, alone_b = draw([6], (4, 8, 8), "channel")
    assert torch.equal(z[1:2], alone_z)
    assert torch.equal(b[1:2], alone_b)
    assert not torch.equal(z[0], z[1])
    big = uniform(range(4000), "u", (1,)), normal(range(4000), "n", (1,))
    assert 0 <= big[0].min() <= big[0].max() < 1
    assert abs(big[0].mean().item() - 0.5) < 0.02
    assert abs(big[1].mean().item()) < 0.06
    assert abs(big[1].std().item() - 1) < 0.05
    counts = torch.bincount(torch.tensor([pick(s, "p", 5) for s in range(1000)]), minlength=5)
    assert counts.min() > 150


@pytest.mark.parametrize("name", sorted(VARIANTS))
@pytest.mark.parametrize("eps", [0.1, 0.8, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_saved_is_inside_the_ball(name: str, eps: float, seed: int) -> None:
    f, z, b, head = problem(seed)
    climb = ascend(f, z, b, scorer(f, head, name), eps=eps, variant=variant(name))
    assert (climb.latents - f).abs().max() <= eps + 1e-9
    assert climb.after.images is not None
    assert torch.allclose(climb.after.images, climb.latents)  # the images are those of the latents that come back
    assert torch.allclose(climb.after.total, scorer(f, head, name)(climb.latents).total)


@pytest.mark.parametrize("eps", [0.1, 0.8, 4.0])
@pytest.mark.parametrize("seed", range(8))
def test_default_raises_the_score_of_every_seed(eps: float, seed: int) -> None:
    f, z, b, head = problem(seed)
    climb = ascend(f, z, b, scorer(f, head, "default"), eps=eps, variant=variant("default"))
    assert (climb.after.total.sum(dim=1) > climb.before.total.sum(dim=1)).all()


@pytest.mark.parametrize("eps", [0.8, 4.0])
@pytest.mark.parametrize("seed", range(8))
def test_default_leads_no_copy_out_of_the_seeds_class(eps: float, seed: int) -> None:
    f, z, b, head = problem(seed)
    climb = ascend(f, z, b, scorer(f, head, "default"), eps=eps, variant=variant("default", 12))
    assert (climb.after.stays | ~climb.before.stays).all()
    assert (climb.after.predicted == (climb.latents @ head).argmax(-1)).all()


def test_released_is_one_sign_step_on_the_unprojected_latent() -> None:
    f, z, b, head = problem()
    climb = ascend(f, z, b, scorer(f, head, "released"), eps=0.5, variant=variant("released"))
    zz, bb = z.clone().requires_grad_(), b.clone().requires_grad_()
    total = scorer(f, head, "released")((1 + zz) * f + bb).total.sum()
    dz, db = torch.autograd.grad(total, (zz, bb))
    expected = project((1 + z + 0.1 * dz.sign()) * f + b + 0.1 * db.sign(), f, 0.5)
    assert torch.allclose(climb.latents, expected)
    assert torch.allclose(climb.before.total, scorer(f, head, "released")(inside(f, z, b, 0.5)).total)


def test_paper_climbs_with_the_projection_inside_the_loop() -> None:
    f, z, b, head = problem()
    how = variant("paper")
    climb = ascend(f, z, b, scorer(f, head, "paper"), eps=0.5, variant=how)
    for _ in range(how.ascent_steps):
        zz, bb = z.clone().requires_grad_(), b.clone().requires_grad_()
        total = scorer(f, head, "paper")(project((1 + zz) * f + bb, f, 0.5)).total.sum()
        dz, db = torch.autograd.grad(total, (zz, bb))
        z, b = z + 0.1 * dz.sign(), b + 0.1 * db.sign()
    assert torch.allclose(climb.latents, project((1 + z) * f + b, f, 0.5))


def test_seeds_do_not_see_one_another() -> None:
    f, z, b, head = problem()
    together = ascend(f, z, b, scorer(f, head, "default"), eps=0.8, variant=variant("default"))
    alone = ascend(f[1:2], z[1:2], b[1:2], scorer(f[1:2], head, "default"), eps=0.8, variant=variant("default"))
    assert torch.allclose(together.latents[1:2], alone.latents)


def test_no_steps_is_the_random_perturbation() -> None:
    f, z, b, head = problem()
    for name in VARIANTS:
        how = variant(name, 0)
        climb = ascend(f, z, b, scorer(f, head, name), eps=0.8, variant=how)
        assert torch.allclose(climb.latents, inside(f, *scaled_draws(z, b, 0.8, how), 0.8))
        assert torch.equal(climb.before.total, climb.after.total)


def test_default_diversity_is_bounded_and_not_inert() -> None:
    g = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(2, 5, 512, generator=g), dim=-1)
    near = torch.nn.functional.normalize(unit[:, :1] + 0.3 * unit, dim=-1)
    ours, released = variant("default"), variant("released")
    assert diversity(near, temperature=released.temperature).max() < 1e-3
    apart = diversity(near, temperature=ours.temperature, mean=ours.mean)
    assert apart.mean() > 0.02
    assert apart.max() <= math.log(5) + 1e-6


def test_the_predicted_class_anchors() -> None:
    seeds, copies = torch.tensor([[3.0, 0.0]]), torch.tensor([[[0.0, 5.0], [5.0, 0.0]]])
    got = scores(seeds, copies, torch.randn(1, 2, 4), variant("default"))
    assert torch.allclose(got.kept, informativeness(seeds, copies).kept)
    assert got.predicted.tolist() == [[1, 0]]


def test_out_of_memory_shrinks_then_gives_up() -> None:
    f, z, b, head = problem()
    tries = [0]
    plain = scorer(f, head, "default")

    def greedy(latents: torch.Tensor) -> Scores:
        if tries[0] < 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(latents)

    def shrink() -> bool:
        tries[0] += 1
        return True

    climb = ascend(f, z, b, greedy, eps=0.8, variant=variant("default"), shrink=shrink)
    assert tries[0] == 2
    assert torch.allclose(climb.latents, ascend(f, z, b, plain, eps=0.8, variant=variant("default")).latents)
    tries[0] = -100
    with pytest.raises(ModelError, match="out of memory"):
        ascend(f, z, b, greedy, eps=0.8, variant=variant("default"), shrink=lambda: False)
