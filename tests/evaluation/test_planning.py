from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaginate.evaluation import planning
from imaginate.evaluation.statistics import Spread, smallest_effect, spread


def studies(count: int, seeds: int, images: int, *, luck: float, hard: float, rng: np.random.Generator) -> np.ndarray:
    """Differences with known variances: seeds' luck, what an arm does to an image, and the rest."""
    left = rng.normal(size=(count, seeds, images))
    return luck * rng.normal(size=(count, seeds, 1)) + hard * rng.normal(size=(count, 1, images)) + 0.5 * left


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_its_definition(p: list[float]) -> None:
    """The smallest level at which the step-down procedure rejects each hypothesis."""
    found = planning.holm(p)
    ordered = sorted(range(len(p)), key=lambda i: p[i])
    for place, i in enumerate(ordered):
        assert found[i] == pytest.approx(min(1, max((len(p) - k) * p[ordered[k]] for k in range(place + 1))))
    assert all(corrected >= raw for corrected, raw in zip(found, p, strict=True))


def test_the_sign_flip_test_counts_every_sign() -> None:
    units = np.array([0.03, 0.01, 0.02, 0.05, -0.01])
    means = [abs(np.mean(np.array(signs) * units)) for signs in product((1, -1), repeat=5)]
    assert planning.sign_flip(units) == pytest.approx(np.mean(np.array(means) >= abs(units.mean()) - 1e-12))
    assert planning.sign_flip(np.full(6, 0.01) + 0.001 * np.arange(6)) == pytest.approx(2 / 64)
    assert planning.sign_flip(units[:1]) is None
    assert planning.sign_flip(np.arange(30.0)) is None


def test_a_planned_study_sees_what_it_was_planned_for() -> None:
    rng = np.random.default_rng(0)
    weight = np.full(400, 1 / 400)
    pilot = spread(studies(1, 20, 400, luck=0.02, hard=0.1, rng=rng)[0], weight)
    found = planning.plan(pilot, 0.025, 0.95)
    assert found is not None
    assert found.seeds is not None
    assert 5 <= found.seeds <= 20
    grown = [spread(gap, weight) for gap in studies(60, found.seeds, 400, luck=0.02, hard=0.1, rng=rng)]
    assert np.mean([smallest_effect(one, 0.95) for one in grown]) == pytest.approx(0.025, rel=0.15)


def test_where_the_images_are_the_limit_no_number_of_seeds_is_planned() -> None:
    rng = np.random.default_rng(1)
    weight = np.full(100, 1 / 100)
    pilot = spread(studies(1, 10, 100, luck=0.0, hard=0.4, rng=rng)[0], weight)
    found = planning.plan(pilot, 0.02, 0.95)
    assert found is not None
    assert found.seeds is None
    assert found.images is not None
    assert 2000 < found.images < 6000  # (1.96 + 0.84)^2 * 0.16 / 0.02^2 = 3136, and the rest
    assert found.seeds_then is not None
    assert found.limit is not None
    assert found.limit > 0.08


def test_nothing_is_planned_from_one_seed_or_from_answers_that_never_differ() -> None:
    alone = spread(np.random.default_rng(0).normal(size=(1, 50)), np.full(50, 1 / 50))
    same = spread(np.zeros((5, 50)), np.full(50, 1 / 50))
    assert planning.plan(alone, 0.01, 0.95) is None
    assert planning.plan(same, 0.01, 0.95) is None


@given(st.integers(2, 10), st.integers(10, 500))
def test_a_study_of_the_pilots_own_size_is_expected_to_be_the_pilot(units: int, images: int) -> None:
    pilot = Spread(mean=0.1, units=units, images=images, unit=3e-4, image=2e-4, both=1e-4, free=images - 1)
    again = planning.expected(pilot, units, images)
    assert (again.unit, again.image, again.both) == pytest.approx((pilot.unit, pilot.image, pilot.both))
    assert again.free == pilot.free
