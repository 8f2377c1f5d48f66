from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.evaluation import statistics as s


def naive_interval(arm, reference, weight, level, draws, seed, wide):
    """The definition, one draw at a time."""
    rng = np.random.default_rng(seed)
    units, n = arm.shape
    means = []
    for _ in range(draws):
        images = rng.integers(0, n, n)
        seeds = rng.integers(0, units, units)
        unit = [sum((float(arm[u, i]) - float(reference[u, i])) * weight[i] for i in images) for u in range(units)]
        centre, drawn = np.mean(unit), np.mean([unit[u] for u in seeds])
        means.append(centre + wide * (drawn - centre))
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


def test_the_interval_is_that_of_the_naive_loop() -> None:
    rng = np.random.default_rng(3)
    arm, reference = rng.random((3, 60)) < 0.7, rng.random((3, 60)) < 0.5
    weight = np.full(60, 1 / 60)
    found = s.difference(arm, reference, weight, level=0.9, draws=4000)
    wide = np.sqrt(3 / 2) * 2.919986 / 1.644854
    low, high = naive_interval(arm, reference, weight, 0.9, 2000, 7, wide)
    assert found["mean"] == pytest.approx(arm.mean() - reference.mean())
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.02)


def test_pairing_makes_the_interval_narrow_and_equal_arms_give_exactly_zero() -> None:
    rng = np.random.default_rng(0)
    reference = rng.random((3, 400)) < 0.5
    arm = reference.copy()
    weight = np.full(400, 1 / 400)
    nothing = s.difference(arm, reference, weight, level=0.95, draws=500)
    assert (nothing["mean"], nothing["low"], nothing["high"], nothing["verdict"]) == (0, 0, 0, "unclear")
    arm[:, :40] = True
    paired = s.difference(arm, reference, weight, level=0.95, draws=500)
    apart = s.difference(arm, rng.permuted(reference, axis=1), weight, level=0.95, draws=500)
    assert paired["high"] - paired["low"] < 0.6 * (apart["high"] - apart["low"])


def test_coverage_is_near_the_level_for_a_fixed_training_set() -> None:
    hits = 0
    for trial in range(120):
        rng = np.random.default_rng(trial)
        reference, arm = rng.random((1, 150)) < 0.5, rng.random((1, 150)) < 0.6
        found = s.difference(arm, reference, np.full(150, 1 / 150), level=0.9, draws=300, seed=trial)
        hits += found["low"] <= 0.1 <= found["high"]
    assert 0.82 <= hits / 120 <= 0.97


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 10_000))
def test_class_means_against_a_loop_and_the_weights_agree(classes: int, units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, 20)])
    correct = rng.random((units, len(label))) < 0.5
    naive = [np.mean([correct[u][label == c].mean() for c in range(classes)]) for u in range(units)]
    assert s.class_accuracy(correct, label, classes).mean(1) == pytest.approx(naive)
    assert correct @ s.class_weight(label) == pytest.approx(naive)


def test_the_standard_error_is_over_units_and_missing_for_one() -> None:
    assert s.summary([(0, 0), (1, 0), (2, 0)], [0.1, 0.2, 0.3])["se"] == pytest.approx(0.1 / np.sqrt(3))
    assert s.summary([(0, 0)], [0.4]) == {"mean": 0.4, "se": None, "n": 1}


def test_resamples_of_a_seed_are_one_unit() -> None:
    keys = [(0, 0), (0, 1), (1, 0), (1, 1)]
    found = s.summary(keys, [0.1, 0.3, 0.5, 0.7])
    assert found == {"mean": pytest.approx(0.4), "se": pytest.approx(0.2), "n": 4}
    assert s.summary(keys[:2], [0.1, 0.3])["se"] == pytest.approx(0.1)
    wrong = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        three, five = rng.normal(0, 0.05, (3, 1, 1)), rng.random((2, 3, 5, 300))
        arm, reference = five[0] < 0.5 + three, five[1] < 0.5
        each = [(seed, r) for seed in range(3) for r in range(5)]
        a, b = (s.by_seed(each, x.reshape(15, 300)) for x in (arm, reference))
        found = s.difference(a, b, np.full(300, 1 / 300), level=0.95, draws=200, seed=trial)
        wrong += found["verdict"] != "unclear"
    assert wrong / 100 <= 0.08


def test_a_class_of_few_held_out_images_has_no_interval() -> None:
    label = np.array([0] * s.FEW + [1])
    arm, reference = np.ones((3, len(label)), bool), np.zeros((3, len(label)), bool)
    large, tiny = s.per_class(arm, reference, label, ["a", "b"], level=0.95, draws=100)
    assert (large["low"], large["high"], large["change"]) == (1, 1, 1)
    assert (tiny["low"], tiny["high"], tiny["change"]) == (None, None, 1)


def test_the_exchange_rate_stays_inside_what_was_measured() -> None:
    curve = [(0.0, 0.2), (100.0, 0.4), (200.0, 0.5)]
    assert s.real_worth(0.3, curve) == (pytest.approx(50.0), "")
    assert s.real_worth(0.45, curve)[0] == pytest.approx(150)
    assert "below" in s.real_worth(0.1, curve)[1]
    assert "above" in s.real_worth(0.6, curve)[1]
    assert s.real_worth(0.3, curve[:1])[0] is None
    row = s.exchange("x", 500, 0.2, {"mean": 0.1, "low": 0.05, "high": 0.4}, curve)
    assert row["rate"] == pytest.approx(10)
    assert row["high"] == pytest.approx(20)
    assert row["low"] is None
    assert (
        s.exchange("x", 500, 0.2, {"mean": 0.1, "low": -0.1, "high": 0.2, "verdict": "unclear"}, curve)["rate"] is None
    )


T_TABLE = [(0.975, 1, 12.7062), (0.975, 2, 4.30265), (0.95, 4, 2.13185), (0.975, 30, 2.04227)]


@pytest.mark.parametrize(("p", "freedom", "expected"), T_TABLE)
def test_few_units_are_widened_by_students_quantile_as_in_the_tables(p: float, freedom: int, expected: float) -> None:
    units, level = freedom + 1, 2 * p - 1
    quantile = s._widening(units, level) * NormalDist().inv_cdf(p) / (units / freedom) ** 0.5
    assert quantile == pytest.approx(expected, rel=1e-4)


def test_three_noisy_seeds_rarely_show_a_gain_that_is_not_there() -> None:
    wrong = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        base, own = rng.normal(0.5, 0.03, (2, 3, 1))
        reference, arm = rng.random((3, 300)) < base, rng.random((3, 300)) < own
        found = s.difference(arm, reference, np.full(300, 1 / 300), level=0.95, draws=200, seed=trial)
        wrong += found["verdict"] != "unclear"
    assert wrong / 100 <= 0.08
