"""Diversity: the Vendi score and the delta-cover against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imaginate.evaluation.metrics.delta_diversity import cover
from imaginate.evaluation.metrics.vendi import vendi_score


def naive_vendi(x: np.ndarray) -> float:
    n = len(x)
    kernel = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in x] for a in x])
    values = np.linalg.eigvalsh(kernel / n)
    return float(np.exp(-sum(v * np.log(v) for v in values if v > 1e-12)))


@pytest.mark.parametrize("shape", [(7, 20), (40, 5)])
def test_vendi_score_is_its_definition_in_both_forms(shape: tuple[int, int]) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    assert vendi_score(x) == pytest.approx(naive_vendi(x.double().numpy()), rel=1e-6)


def test_vendi_score_counts_different_images() -> None:
    same = torch.ones(5, 8)
    assert vendi_score(same) == pytest.approx(1)
    assert vendi_score(torch.eye(6)) == pytest.approx(6)
    assert vendi_score(torch.eye(6).repeat(3, 1)) == pytest.approx(6)


def test_cover_is_the_largest_hole_and_its_inverse() -> None:
    rng = torch.Generator().manual_seed(0)
    points, reference = torch.randn(20, 4, generator=rng), torch.randn(30, 4, generator=rng)
    naive = max(min(float(torch.dist(s, e)) for e in points) for s in reference)
    radius, diversity = cover(points, reference)
    assert (radius, diversity) == pytest.approx((naive, 1 / naive), rel=1e-5)
    assert cover(torch.cat([points, reference[:5]]), reference)[0] <= radius
