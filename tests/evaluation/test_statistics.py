from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.evaluation import statistics as s
from imaginate.evaluation.planning import corrected


def naive_spread(gap: np.ndarray) -> tuple[float, float]:
    """Variance of the mean and its degrees of freedom, from the mean squares of a crossed design as textbooks have
    them: one loop for each sum of squares."""
    units, n = gap.shape
    m = sum(gap[u, i] for u in range(units) for i in range(n)) / (units * n)
    by_unit = [sum(gap[u, i] for i in range(n)) / n for u in range(units)]
    by_image = [sum(gap[u, i] for u in range(units)) / units for i in range(n)]
    ms_unit = n * sum((x - m) ** 2 for x in by_unit) / (units - 1)
    ms_image = units * sum((x - m) ** 2 for x in by_image) / (n - 1)
    rest = sum((gap[u, i] - by_unit[u] - by_image[i] + m) ** 2 for u in range(units) for i in range(n))
    ms_rest = rest / ((units - 1) * (n - 1))
    image = max(ms_image - ms_rest, 0)
    total = max(ms_unit, ms_rest / (units - 1)) + image
    return total / (units * n), total**2 / (ms_unit**2 / (units - 1) + image**2 / (n - 1))


def test_the_interval_is_that_of_the_naive_loop() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(3)
    for luck in (0.0, 0.3):
        arm, reference = rng.random((3, 60)) < 0.7 + luck * (rng.random((3, 1)) - 0.5), rng.random((3, 60)) < 0.5
        found = s.difference(arm, reference, np.full(60, 1 / 60), level=0.9)
        variance, freedom = naive_spread(arm.astype(float) - reference)
        half = t.ppf(0.95, freedom) * variance**0.5
        mean = arm.mean() - reference.mean()
        assert found["mean"] == pytest.approx(mean)
        assert (found["low"], found["high"]) == pytest.approx((max(-1, mean - half), min(1, mean + half)))
        assert found["p"] == pytest.approx(2 * t.sf(abs(mean) / variance**0.5, freedom))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(2, 4), st.integers(0, 10_000), st.floats(0.5, 0.999))
def test_intervals_are_inside_what_a_difference_can_be_and_change_sign_with_the_arms(
    units: int, classes: int, seed: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, 9)])
    arm, reference = rng.random((2, units, len(label))) < rng.random((2, units, 1))
    one, other = (s.accuracy_differences(a, b, label, level=level) for a, b in ((arm, reference), (reference, arm)))
    order = rng.permutation(len(label))
    shuffled = s.accuracy_differences(arm[::-1, order], reference[::-1, order], label[order], level=level)
    for key in ("top1", "mean_per_class"):
        assert -1 <= one[key]["low"] <= one[key]["mean"] <= one[key]["high"] <= 1
        assert (one[key]["low"], one[key]["high"]) == pytest.approx((-other[key]["high"], -other[key]["low"]))
        assert [one[key][k] for k in ("mean", "low", "high", "p")] == pytest.approx(
            [shuffled[key][k] for k in ("mean", "low", "high", "p")]
        )


def test_strata_that_are_alike_are_one_stratum_and_classes_that_differ_cost_nothing() -> None:
    """A gain in one class alone is no spread of images where classes are strata; it is where they are not."""
    rng = np.random.default_rng(1)
    label = np.repeat(np.arange(4), 50)
    arm, reference = (
        np.tile(rng.random((1, 200)) < share, (6, 1)) for share in (0.5 + 0.5 * (label == 0), 0.5 * (label > 0))
    )
    found = s.accuracy_differences(arm, reference, label, level=0.95)
    assert found["top1"]["mean"] == pytest.approx(found["mean_per_class"]["mean"])
    widths = {key: found[key]["high"] - found[key]["low"] for key in ("top1", "mean_per_class")}
    assert widths["mean_per_class"] < 0.9 * widths["top1"]
    gap = rng.random((3, 40)) - 0.4
    flat, one = np.full(40, 1 / 40), np.zeros(40, int)
    assert s.spread(gap, flat, one) == s.spread(gap, flat)
    alone = s.spread(gap, flat, np.arange(40))  # a class of one image shows no spread of its own
    assert alone == s.spread(gap, flat)


def test_one_seed_gives_no_verdict_and_its_interval_is_one_over_images() -> None:
    rng = np.random.default_rng(0)
    reference = rng.random((1, 1000)) < 0.5
    found = s.difference(np.ones((1, 1000), bool), reference, np.full(1000, 1 / 1000), level=0.95)
    assert (found["verdict"], found["over"], found["p"], found["smallest"]) == (s.ONE_SEED, "images", None, None)
    gap = 1.0 - reference
    half = 1.9623 * gap.std(ddof=1) / 1000**0.5
    assert (found["low"], found["high"]) == pytest.approx((gap.mean() - half, gap.mean() + half), abs=1e-4)


def null_studies(count: int, seeds: int, images: int, *, luck: float, own: float, gain: float = 0.0) -> np.ndarray:
    """Paired differences of studies of two arms, about 70 % right. (count, seeds, images)

    Images are hard or easy for both; each classifier has its own luck; `own`: what an arm changes image by image."""
    rng = np.random.default_rng(5)
    hard = 0.75 + rng.normal(size=(count, 1, images))
    sides = [
        hard + shift + own * rng.normal(size=(count, 1, images)) + luck * rng.normal(size=(count, seeds, 1))
        + 0.7 * rng.normal(size=(count, seeds, images)) > 0
        for shift in (gain, 0)
    ]  # fmt: skip
    return sides[0].astype(float) - sides[1]


@pytest.mark.parametrize(("seeds", "images"), [(3, 100), (3, 300), (5, 100), (11, 100)])
@pytest.mark.parametrize("own", [0.0, 0.5])
def test_false_verdicts_are_five_in_a_hundred_from_three_seeds_on(seeds: int, images: int, own: float) -> None:
    studies = null_studies(1500, seeds, images, luck=0.1, own=own)
    found = [s.interval(s.spread(gap, np.full(images, 1 / images)), 0.95) for gap in studies]
    wrong = np.mean([one["verdict"] != "unclear" for one in found])
    assert 0.03 <= wrong <= 0.07
    assert all(-1 <= one["low"] <= one["high"] <= 1 for one in found)


@pytest.mark.parametrize("seeds", [3, 5])
def test_of_many_arms_without_a_difference_one_is_called_in_five_studies_of_a_hundred(seeds: int) -> None:
    """By `corrected`; Holm's correction of Satterthwaite's p-values calls three times as many with three seeds."""
    arms, images, hits = 20, 300, []
    weight = np.full(images, 1 / images)
    gaps = null_studies(200 * arms, seeds, images, luck=0.1, own=0.3)
    for study in np.split(gaps, 200):
        found = [s.interval(s.spread(gap, weight), 0.95) for gap in study]
        hits.append(min(corrected(found)) < 0.05)
    assert np.mean(hits) <= 0.07


def test_the_tail_is_an_integral_over_what_the_units_allow() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(1)
    for units in (2, 3, 11):
        luck_alone = s.Spread(mean=0.03, units=units, images=50, unit=1e-4, image=0.0, both=0.0, free=49)
        assert s.tail_p(luck_alone) == pytest.approx(2 * t.sf(3.0, units - 1), rel=1e-3)
        found = s.Spread(mean=0.03, units=units, images=50, unit=8e-5, image=9e-5, both=3e-5, free=49)
        chi = rng.chisquare(units - 1, 400_000)
        of_units = np.maximum(8e-5 * (units - 1) / chi, 3e-5)
        naive = np.mean(np.abs(rng.normal(size=chi.size)) * np.sqrt(of_units + 6e-5) > 0.03)
        assert s.tail_p(found) == pytest.approx(naive, rel=0.03)


def test_the_smallest_effect_is_found_in_four_of_five_studies() -> None:
    images = 300
    weight = np.full(images, 1 / images)
    studies = null_studies(150, 8, images, luck=0.1, own=0.3)
    smallest = float(np.mean([s.smallest_effect(s.spread(gap, weight), 0.95) for gap in studies]))
    shifted = null_studies(600, 8, images, luck=0.1, own=0.3, gain=smallest / 0.235)  # 0.235: points for a unit of gain
    truth = float(shifted.mean())
    found = np.mean([s.interval(s.spread(gap, weight), 0.95)["verdict"] == "gain" for gap in shifted])
    assert truth == pytest.approx(smallest, rel=0.15)
    assert 0.7 <= found <= 0.9


def test_pairing_makes_the_interval_narrow_and_equal_arms_give_exactly_zero() -> None:
    rng = np.random.default_rng(0)
    reference = np.tile(rng.random((1, 400)) < 0.5, (3, 1))
    arm = reference.copy()
    weight = np.full(400, 1 / 400)
    nothing = s.difference(arm, reference, weight, level=0.95, draws=500)
    assert (nothing["mean"], nothing["low"], nothing["high"], nothing["verdict"]) == (0, 0, 0, "unclear")
    arm[:, :40] = True
    paired = s.difference(arm, reference, weight, level=0.95, draws=500)
    apart = s.difference(arm, reference[:, rng.permutation(400)], weight, level=0.95, draws=500)
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
    """Where all images of a unit agree, only the units vary: the interval is Student's of their means."""
    gap = 0.01 * np.random.default_rng(0).normal(size=(freedom + 1, 1)) * np.ones(50)
    found = s.interval(s.spread(gap, np.full(50, 1 / 50)), 2 * p - 1)
    error = gap[:, 0].std(ddof=1) / (freedom + 1) ** 0.5
    assert (found["high"] - found["mean"]) / error == pytest.approx(expected, rel=1e-4)


def test_three_noisy_seeds_rarely_show_a_gain_that_is_not_there() -> None:
    wrong = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        base, own = rng.normal(0.5, 0.03, (2, 3, 1))
        reference, arm = rng.random((3, 300)) < base, rng.random((3, 300)) < own
        found = s.difference(arm, reference, np.full(300, 1 / 300), level=0.95, draws=200, seed=trial)
        wrong += found["verdict"] != "unclear"
    assert wrong / 100 <= 0.08
