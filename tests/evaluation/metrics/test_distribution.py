"""Each distance against its formula, written as a naive float64 loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.linalg
import torch

from imaginate.errors import ConfigError, ModelError
from imaginate.evaluation.metrics.consistency import class_consistency, prototype_logits
from imaginate.evaluation.metrics.coverage import density_coverage
from imaginate.evaluation.metrics.delta_diversity import cover
from imaginate.evaluation.metrics.frechet import frechet_distance
from imaginate.evaluation.metrics.kernel import kernel_distance
from imaginate.evaluation.metrics.manifold import precision_recall
from imaginate.evaluation.metrics.vendi import vendi_score


def sets(n: int = 40, m: int = 30, d: int = 6, shift: float = 0.7) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng) * 1.2 + shift


def test_frechet_distance_is_its_formula() -> None:
    real, fake = sets()
    r, f = real.double().numpy(), fake.double().numpy()
    root = scipy.linalg.sqrtm(np.cov(r.T) @ np.cov(f.T)).real
    expected = ((r.mean(0) - f.mean(0)) ** 2).sum() + np.trace(np.cov(r.T) + np.cov(f.T) - 2 * root)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_is_the_unbiased_mmd() -> None:
    real, fake = sets(30, 30)
    r, f, d = real.double().numpy(), fake.double().numpy(), 6

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / d + 1) ** 3)

    n = 30
    within = sum(kernel(r[i], r[j]) + kernel(f[i], f[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    across = sum(kernel(x, y) for x in r for y in f) / n**2
    mean, deviation = kernel_distance(real, fake, subsets=2)
    assert mean == pytest.approx(within - 2 * across, rel=1e-6)
    assert deviation == pytest.approx(0, abs=1e-9)


def test_kernel_distance_draws_its_own_subsets() -> None:
    real, fake = sets()
    first = kernel_distance(real, fake, subsets=3, subset_size=10, seed=1)
    state = torch.get_rng_state()
    assert kernel_distance(real, fake, subsets=3, subset_size=10, seed=1) == first
    assert torch.equal(state, torch.get_rng_state())
    assert kernel_distance(real, fake, subsets=3, subset_size=10, seed=2) != first


def naive_manifolds(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def radius(points: np.ndarray, i: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - p)) for j, p in enumerate(points) if j != i)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    apart = [[float(np.linalg.norm(r - f)) for f in fake] for r in real]
    inside = [[apart[i][j] <= real_radii[i] for j in range(len(fake))] for i in range(len(real))]
    precision = np.mean([any(inside[i][j] for i in range(len(real))) for j in range(len(fake))])
    recall = np.mean([any(apart[i][j] <= fake_radii[j] for j in range(len(fake))) for i in range(len(real))])
    density = np.sum(inside) / (k * len(fake))
    coverage = np.mean([any(row) for row in inside])
    return float(precision), float(recall), float(density), float(coverage)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_manifold_metrics_are_their_definitions(k: int) -> None:
    real, fake = sets()
    precision, recall, density, coverage = naive_manifolds(real.double().numpy(), fake.double().numpy(), k)
    assert precision_recall(real, fake, k=k) == pytest.approx((precision, recall), abs=1e-6)
    assert density_coverage(real, fake, k=k) == pytest.approx((density, coverage), abs=1e-6)


def test_a_far_set_is_neither_precise_nor_covering() -> None:
    real, fake = sets(shift=1e3)
    assert precision_recall(real, fake) == (0, 0)
    assert density_coverage(real, fake) == (0, 0)


def test_rules_are_told() -> None:
    real, fake = sets(4, 4)
    with pytest.raises(ConfigError, match=r"k must be in \[1, 3\] for this many images, got 4"):
        precision_recall(real, fake, k=4)
    with pytest.raises(ConfigError, match="widths 6 and 5"):
        frechet_distance(real, fake[:, :5])
    with pytest.raises(ConfigError, match="at least 2 images on each side, got 4 and 1"):
        kernel_distance(real, fake[:1])


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "measure",
    [
        frechet_distance,
        kernel_distance,
        density_coverage,
        precision_recall,
        lambda real, fake: vendi_score(fake),
        cover,
        lambda real, fake: class_consistency(fake, torch.zeros(len(fake), dtype=torch.int64)),
        lambda real, fake: prototype_logits(real, fake, torch.zeros(len(fake), dtype=torch.int64), 2),
    ],
)
def test_features_that_are_not_finite_never_give_a_value(measure: Callable[..., object], wrong: float) -> None:
    real, fake = sets()
    fake[3, 1] = fake[3, 2] = fake[8, 0] = wrong
    with pytest.raises(ModelError, match=r"2 of \d+ images have features that are not finite"):
        measure(real, fake)
