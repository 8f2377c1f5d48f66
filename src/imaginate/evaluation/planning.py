"""What a study could have seen, what it would take to see more, and what several arms do to a p-value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from imaginate.evaluation.statistics import Spread, smallest_effect
from imaginate.runs import Facts

MOST_SEEDS = 200  # more classifiers of an arm than that are never planned
ENOUGH = 30  # seeds with which a larger held-out set is planned
MOST_IMAGES = 10_000_000
FEW_SEEDS = 12  # up to so many seeds every sign is tried: 4096 of them


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979): p-values under which all arms together are wrong no more often than the level says."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(value) for value in corrected]


def corrected(gaps: Sequence[Facts]) -> list[float]:
    """Holm's p-values of several intervals, none below its own p; of a single one its own p. By `p_tail`, which holds
    at the small levels that the correction asks for."""
    own = [float(gap["p"]) for gap in gaps]
    if len(gaps) < 2:
        return own
    tails = [max(p, float(gap["p_tail"])) for p, gap in zip(own, gaps, strict=True)]
    return [max(p, q) for p, q in zip(own, holm(tails), strict=True)]


def sign_flip(units: np.ndarray) -> float | None:
    """The exact sign-flip test of the seeds' differences (units,), two-sided: it assumes no distribution, and n seeds
    cannot show less than 2 / 2^n. None where there is one seed, or so many that Student's test serves."""
    from scipy.stats import permutation_test

    if not 2 <= len(units) <= FEW_SEEDS:
        return None
    found = permutation_test(
        (np.asarray(units, float),), np.mean, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    return float(found.pvalue)


def expected(pilot: Spread, units: int, images: int) -> Spread:
    """The spread of a larger study, from the variances that a smaller one found: of seeds, of images, and of what is
    left."""
    left = pilot.both * pilot.units * pilot.images
    luck = max(0.0, pilot.unit - pilot.both) * pilot.units
    hardness = max(0.0, pilot.image - pilot.both) * pilot.images
    both = left / (units * images)
    return Spread(
        mean=pilot.mean, units=units, images=images, unit=luck / units + both, image=hardness / images + both,
        both=both, free=max(1, images - (pilot.images - pilot.free)),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes to see a difference of `detect`. `seeds` on the held-out images that are there, None where no
    number of seeds is enough: then `images` held-out images are needed, with `seeds_then` seeds."""

    detect: float
    seeds: int | None
    images: int | None
    seeds_then: int | None
    limit: float | None  # the smallest effect that these held-out images can show, with MOST_SEEDS seeds


def plan(pilot: Spread, detect: float, level: float) -> Plan | None:
    """The smallest study that sees `detect`, planned from a pilot; None where the pilot shows no spread (one seed, or
    answers that never differ)."""
    if pilot.units < 2 or pilot.variance == 0:
        return None

    def sees(units: int, images: int) -> bool:
        effect = smallest_effect(expected(pilot, units, images), level)
        return effect is not None and effect <= detect

    limit = smallest_effect(expected(pilot, MOST_SEEDS, pilot.images), level)
    seeds = first(lambda units: sees(units, pilot.images), 2, MOST_SEEDS)
    if seeds is not None:
        return Plan(detect=detect, seeds=seeds, images=None, seeds_then=None, limit=limit)
    images = first(lambda count: sees(ENOUGH, count), pilot.images, MOST_IMAGES)
    then = None if images is None else first(lambda units: sees(units, images), 2, MOST_SEEDS)
    return Plan(detect=detect, seeds=None, images=images, seeds_then=then, limit=limit)


def first(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest number in [low, high] for which something holds that goes on holding; None where it never does."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
