"""Class consistency and cost."""

from __future__ import annotations

import pytest
import torch

from imaginate.errors import ConfigError
from imaginate.evaluation.metrics.consistency import class_consistency, prototype_logits
from imaginate.evaluation.metrics.core.cost import cost


def test_class_consistency_is_the_share_of_agreement() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 4, generator=rng), torch.randint(0, 4, (50,), generator=rng)
    naive = sum(max(range(4), key=lambda c: logits[i, c]) == labels[i] for i in range(50)) / 50
    assert class_consistency(logits, labels) == pytest.approx(float(naive))


def test_prototypes_are_mean_directions_and_an_empty_class_never_wins() -> None:
    rng = torch.Generator().manual_seed(0)
    real, labels = torch.randn(12, 5, generator=rng), torch.tensor([0, 1, 3] * 4)
    features = torch.randn(9, 5, generator=rng)
    logits = prototype_logits(features, real, labels, 4)
    for i in range(9):
        for c in (0, 1, 3):
            mean = sum(x / x.norm() for x in real[labels == c]).double()
            naive = features[i].double() @ mean / features[i].double().norm() / mean.norm()
            assert float(logits[i, c]) == pytest.approx(float(naive), abs=1e-6)
    assert (logits.argmax(dim=1) != 2).all()


def test_cost_counts_rejects_through_the_time_they_took() -> None:
    found = cost(7200, 100, hourly_price=2.5)
    assert (found.seconds_per_image, found.money, found.money_per_image) == (72, 5, 0.05)
    assert cost(10, 5).money is None
    with pytest.raises(ConfigError, match="at least 1 image, got 0"):
        cost(1, 0)
    with pytest.raises(ConfigError, match="hourly price must be >= 0, got -1"):
        cost(1, 1, hourly_price=-1)
