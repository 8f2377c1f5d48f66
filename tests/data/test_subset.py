"""Shots and fraction: repeatable, stratified, blind to order, and the small choice inside the large one."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.data.sources.file import FileSource
from imaginate.data.subset import take_fraction, take_imbalanced, take_shots
from imaginate.errors import ImageError
from imaginate.records import Sample

SEEDS = st.integers(0, 5)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


def samples(sizes: list[int]) -> list[Sample]:
    return [
        Sample(id=f"{label}/{number}", label=label, source=FileSource("nowhere"))
        for label, size in enumerate(sizes)
        for number in range(size)
    ]


def ids(chosen: list[Sample]) -> list[str]:
    return [sample.id for sample in chosen]


@settings(deadline=None, max_examples=30)
@given(SIZES, st.integers(1, 30), st.integers(1, 30), SEEDS)
def test_shots(sizes: list[int], few: int, more: int, seed: int) -> None:
    few, more = sorted((few, more))
    all_of_them = samples(sizes)
    small, large = (take_shots(all_of_them, shots, seed)[0] for shots in (few, more))
    assert Counter(sample.label for sample in small) == {label: min(size, few) for label, size in enumerate(sizes)}
    assert set(ids(small)) <= set(ids(large))
    assert ids(small) == [sample.id for sample in all_of_them if sample.id in set(ids(small))]
    shuffled = random.Random(seed).sample(all_of_them, len(all_of_them))
    assert set(ids(take_shots(shuffled, few, seed)[0])) == set(ids(small))


@settings(deadline=None, max_examples=30)
@given(SIZES, st.floats(0.01, 1), st.floats(0.01, 1), SEEDS)
def test_fraction(sizes: list[int], little: float, much: float, seed: int) -> None:
    little, much = sorted((little, much))
    all_of_them = samples(sizes)
    small, large = (take_fraction(all_of_them, share, seed) for share in (little, much))
    counts = Counter(sample.label for sample in small)
    for label, size in enumerate(sizes):
        assert counts[label] >= 1
        assert abs(counts[label] - size * little) <= 0.5 or counts[label] == 1
    assert set(ids(small)) <= set(ids(large))
    shuffled = random.Random(seed).sample(all_of_them, len(all_of_them))
    assert set(ids(take_fraction(shuffled, little, seed))) == set(ids(small))
    assert ids(take_fraction(all_of_them, 1.0, seed)) == ids(all_of_them)


@settings(deadline=None, max_examples=30)
@given(SIZES, st.integers(1, 10), st.sets(st.integers(0, 39)), SEEDS)
def test_broken_images_give_way_and_the_choice_stays_nested(
    sizes: list[int], shots: int, broken: set[int], seed: int
) -> None:
    def usable(sample: Sample) -> None:
        if int(sample.id.split("/")[1]) in broken:
            raise ImageError("truncated")

    small, skipped = take_shots(samples(sizes), shots, seed, usable)
    large, _ = take_shots(samples(sizes), shots + 3, seed, usable)
    good = {label: sum(number not in broken for number in range(size)) for label, size in enumerate(sizes)}
    expected = {label: min(count, shots) for label, count in good.items() if count}
    assert Counter(sample.label for sample in small) == expected
    assert set(ids(small)) <= set(ids(large))
    assert {item.reason for item in skipped} <= {"truncated"}


def test_another_seed_and_another_class_make_another_choice() -> None:
    pool = samples([200])
    first, second = (set(ids(take_shots(pool, 20, seed)[0])) for seed in (0, 1))
    assert len(first & second) < 10
    assert ids(take_shots(pool, 20, 0)[0]) != ids(pool)[:20]


def test_imbalance_is_the_long_tail_of_the_paper() -> None:
    """CIFAR100-LT (Cao et al. 2019): 100 classes of 500 images, imbalance ratio 100: 10,847 images."""
    chosen = Counter(sample.label for sample in take_imbalanced(samples([500] * 100), 100))
    assert [chosen[label] for label in range(100)] == [int(500 * 0.01 ** (i / 99)) for i in range(100)]
    assert (chosen[0], chosen[99], sum(chosen.values())) == (500, 5, 10847)


@settings(deadline=None, max_examples=30)
@given(SIZES, st.floats(1, 200), st.floats(1, 200), SEEDS)
def test_a_longer_tail_is_part_of_a_shorter_one(sizes: list[int], one: float, other: float, seed: int) -> None:
    one, other = sorted((one, other))
    everything = samples(sizes)
    short, long = (take_imbalanced(everything, imbalance, seed) for imbalance in (one, other))
    assert set(ids(long)) <= set(ids(short))
    assert set(Counter(sample.label for sample in long)) == set(range(len(sizes)))
    assert ids(take_imbalanced(everything, 1, seed)) == ids(everything)
    backwards = take_imbalanced(everything[::-1], other, seed)
    assert set(ids(backwards)) == set(ids(long))
