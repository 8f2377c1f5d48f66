"""Confusions against a plain count, and what the gain of a round is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.evaluation.weak_classes import by_class, confusions, gain, weak_classes


def answers(seed: int, classes: int = 5, n: int = 40, repeats: int = 3, wrong: float = 0.4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    said = np.where(rng.random((repeats, n)) < wrong, rng.integers(0, classes, (repeats, n)), label)
    return said, label


@given(st.integers(0, 200), st.floats(0.05, 1))
@settings(max_examples=40, deadline=None)
def test_confusions_are_counted_and_the_weak_classes_cover_a_share_of_them(seed: int, share: float) -> None:
    said, label = answers(seed)
    counted = Counter((int(t), int(s)) for row in said for t, s in zip(label, row, strict=True) if t != s)
    found = confusions(said, label)
    assert {(a, b): n for a, b, n in found} == dict(counted)
    assert [n for *_, n in found] == sorted(counted.values(), reverse=True)
    weak, used = weak_classes(found, share)
    for most in (2, 3):
        fewer, some = weak_classes(found, share, most=most)
        assert some == used[: len(some)]
        assert len(fewer) <= most
        assert some == used or len({*fewer, *used[len(some)][:2]}) > most  # the next pair would be too much
    assert weak_classes(found, share, most=1) == ([found[0][0]], found[:1])
    assert used == found[: len(used)]
    covered, total = sum(n for *_, n in used), sum(counted.values())
    assert covered >= share * total - 1e-9
    assert covered - used[-1][2] < share * total  # and with one pair less they would not
    assert set(weak) == {label for a, b, _ in used for label in (a, b)}


def test_without_mistakes_no_class_is_weak() -> None:
    label = np.array([0, 1, 2])
    assert weak_classes(confusions(np.stack([label, label]), label), 0.8) == ([], [])


def test_the_gain_is_the_difference_of_mean_class_accuracies_with_an_interval_around_it() -> None:
    said, label = answers(1, n=200)
    before = said == label
    after = before | (np.random.default_rng(2).random(before.shape) < 0.3)
    found = gain(after, before, label, 0.95)
    means = [np.mean([table[:, label == c].mean() for c in range(5)]) for table in (before, after)]
    assert found["before"] == pytest.approx(means[0])
    assert found["after"] == pytest.approx(means[1])
    assert found["mean"] == pytest.approx(means[1] - means[0])
    assert 0 < found["low"] < found["mean"] < found["high"]
    assert 0 < found["smallest"] < found["mean"]
    assert gain(before, before, label, 0.95)["smallest"] is None  # nothing varied: nothing is visible
    rows = by_class(after, before, label, "abcde")
    assert sum(row["images"] for row in rows) == 200
    assert [abs(r["after"] - r["before"]) for r in rows] == sorted(abs(r["after"] - r["before"]) for r in rows)[::-1]
