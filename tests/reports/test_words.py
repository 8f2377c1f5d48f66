"""Words never say more than the interval allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaginate.reports import words

SHARES = st.floats(-1, 1, allow_nan=False)


@given(SHARES, SHARES)
def test_an_interval_that_covers_zero_is_never_a_gain_or_a_loss(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    d = {"mean": (low + high) / 2, "low": low, "high": high, "verdict": "gain"}
    word = words.verdict(d)
    assert word == ("gain" if low > 0 else "loss" if high < 0 else "unclear")
    text = words.finding("X", d, "the original data")
    assert ("better" in text) == (low > 0)
    assert ("worse" in text) == (high < 0)
    assert ("no clear difference" in text) == (low <= 0 <= high)


def test_what_was_not_measured_is_said_so() -> None:
    for missing in (None, {}, {"mean": 0.1}, {"mean": 0.1, "low": None, "high": 0.2}):
        assert words.verdict(missing) == "none"
        assert words.finding("X", missing, "y") == "X: not measured against y."
    assert words.accuracy(None) == words.points(None) == words.percent(None) == words.number(None) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0312, "+3.1"), (-0.004, "−0.4"), (0.0004, "0.0"), (-0.0004, "0.0"), (0.0, "0.0")],
)
def test_signs(value: float, text: str) -> None:
    assert words.signed(100 * value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4080, "4\u202f080"),
        (0.000021, "0.000021"),
        (0.5, "0.5"),
        (81.234, "81.2"),
        (12345.6, "12\u202f346"),
        (-2.5, "−2.5"),
        (999.6, "1\u202f000"),
        (-99.96, "−100"),
        (float("inf"), "infinite"),
        (float("-inf"), "−infinite"),
        (float("nan"), "not a number"),
    ],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert words.number(value) == text


def test_lists_are_shortened() -> None:
    assert words.listed([]) == "none"
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([str(i) for i in range(10)], 3) == "0, 1, 2 and 7 more"


@given(st.floats(1e-9, 1e12), st.integers(2, 6))
def test_a_number_keeps_its_size(value: float, digits: int) -> None:
    text = words.number(value, digits).replace(words.GROUP, "")
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits) if value < 1000 else 1e-3)


@given(st.text("ab ", max_size=60), st.integers(4, 40))
def test_long_names_keep_both_ends(text: str, limit: int) -> None:
    short = words.shortened(text, limit)
    assert len(short) <= limit or short == text
    head, cut, tail = short.partition("…")
    assert bool(cut) == (len(text) > limit)
    assert text.startswith(head)
    assert text.endswith(tail)
