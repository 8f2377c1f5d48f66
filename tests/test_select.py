"""Selection as pure functions: budgets, order, sample-wise against sample-agnostic, and balance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaginate import select
from imaginate.errors import ConfigError
from imaginate.records import Candidate, Verdict
from imaginate.select import Selection


def _judged(*items: tuple[bool, float]) -> list[tuple[Candidate, Verdict]]:
    return [
        (Candidate(key="s", label=0, copy=i, seed=i, image=None, scores={"entropy_gain": score}), Verdict(keep=keep))
        for i, (keep, score) in enumerate(items)
    ]


@given(st.integers(1, 6), st.integers(1, 5), st.lists(st.booleans(), min_size=200, max_size=200), st.booleans())
def test_asking_ends_within_the_budget_and_never_early(wanted, tries, outcomes, ranked):
    selection = Selection(policy="best" if ranked else "first", tries=tries)
    made = kept = 0
    while count := select.wants_more(selection, wanted=wanted, tried=made, kept=kept):
        assert 1 <= count <= wanted
        kept += sum(outcomes[made : made + count])
        made += count
    assert made <= wanted * tries
    assert made == wanted * tries or (kept >= wanted and not ranked)


def test_first_informative_and_best():
    judged = _judged((False, 9.0), (True, 0.1), (True, 0.5), (True, 0.3))
    assert select.choose(Selection(), judged, wanted=2) == [1, 2]
    assert select.choose(Selection(policy="informative"), judged, wanted=2) == [1, 2]
    assert select.choose(Selection(policy="best"), judged, wanted=2) == [2, 3]
    with pytest.raises(ConfigError, match="no score 'beauty' to select by; there is entropy_gain"):
        select.choose(Selection(policy="best", by="beauty"), judged, wanted=1)


def test_policies_bring_their_filters():
    assert select.required_filters(Selection()) == []
    for selection in (Selection(policy="informative"), Selection(scope="class"), Selection(policy="best")):
        assert [name for name, _ in select.required_filters(selection)] == ["consistency", "entropy-gain"]
    assert select.required_filters(Selection(policy="best", by="aesthetic")) == []


def _rows(counts: dict[str, list[float]], labels: dict[str, int]) -> list[dict[str, object]]:
    return [
        {"seed_image": seed, "label": labels[seed], "copy": i, "score_entropy_gain": score, "kept": True, "method": "m"}
        for seed, scores in counts.items()
        for i, score in enumerate(scores)
    ]


def test_sample_agnostic_lets_easy_seeds_crowd_out_hard_ones():
    rows = _rows({"easy": [0.9, 0.8, 0.7], "hard": [0.1], "other": [0.5, 0.4]}, {"easy": 0, "hard": 0, "other": 1})
    whole = select.choose_agnostic(Selection(scope="dataset"), rows, {0: 2, 1: 1})
    assert [rows[i]["seed_image"] for i in whole] == ["easy"] * 3
    by_class = select.choose_agnostic(Selection(scope="class"), rows, {0: 2, 1: 1})
    assert [rows[i]["seed_image"] for i in by_class] == ["easy", "easy", "other"]


@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=30), st.integers(0, 40))
def test_sample_agnostic_takes_the_best_and_no_more_than_wanted(scores, total):
    rows = _rows({"s": scores}, {"s": 0})
    chosen = select.choose_agnostic(Selection(scope="dataset"), rows, {0: total})
    assert len(chosen) == min(total, len(scores))
    assert chosen == sorted(set(chosen))
    value = [s if s == s else float("-inf") for s in scores]
    left = [v for i, v in enumerate(value) if i not in chosen]
    assert not left or not chosen or min(value[i] for i in chosen) >= max(left)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(1, 9))
def test_balance_is_an_even_count(sizes, copies):
    even = select.allocate(sizes, copies, Selection(balance=True))
    totals = {size + new for size, new in zip(sizes, even, strict=True) if size}
    assert len(totals) <= 1
    assert all(new >= 0 for new in even)
    assert select.allocate(sizes, copies, Selection()) == [copies * size for size in sizes]
    largest = max(sizes)
    assert all(new == copies * largest for size, new in zip(sizes, even, strict=True) if size == largest and size)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(1, 9), st.integers(1, 200))
def test_up_to_a_target_and_never_beyond_a_ratio(sizes, copies, target):
    for size, new in zip(sizes, select.allocate(sizes, copies, Selection(balance_to=target)), strict=True):
        assert 0 <= new <= copies * size
        assert size + new <= max(size, target)
        assert new == copies * size or size + new >= target


def test_two_ways_to_balance_are_refused():
    with pytest.raises(ConfigError, match="balance-to to a count of yours: choose one"):
        Selection(balance=True, balance_to=10)
