"""How often a study is wrong, how often it sees what is there, and how wide its intervals are, simulated.

    python benchmarks/coverage.py [--studies 1000]

A study is two arms, each trained in several seeds and measured on the same held-out images. An image is hard or easy
for every classifier; a classifier has luck of its own; an arm may change an image for all its seeds; the rest is
chance.
About 70 % of the answers are right. `luck` is the standard deviation of a seed's luck (0.1 is about 2 points), `own`
that of what an arm changes image by image, both on the scale of the answers' margin.

Side by side on the same studies: `crossed`, the interval that studies have (`imaginate.evaluation.statistics`), and
`bootstrap`, which they had before: seeds and images resampled together, the seeds' part widened to Student's t. For
each: the share of studies without a difference that are called a gain or a loss (%), the share of studies with a gain
that are called one (%), the mean width of the interval (points); of `crossed` also the mean of the smallest effect that
it says it would have found, and how often an effect of that size is found. `families`: how often any of several arms
that differ in nothing is called a gain or a loss: by its own p-value, by Holm's correction of these, and by the one
that studies have, whose p-values hold at small levels too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from _machine import write
from scipy.stats import norm, t

from imaginate.evaluation import statistics
from imaginate.evaluation.planning import corrected, holm

LEVEL = 0.95
DRAWS = 400
# seeds, held-out images, luck, gain in points
TABLE = ((2, 100, 0.1, 9), (3, 100, 0.1, 9), (3, 1000, 0.0, 3), (5, 100, 0.1, 9), (11, 1000, 0.1, 3), (1, 1000, 0.1, 3))
GRID = [
    (s, n, luck, 3 if n > 300 else 9) for s in (2, 3, 5, 8, 11) for n in (20, 100, 1000) for luck in (0.0, 0.1, 0.3)
]
FAMILIES = [(seeds, 300, arms) for seeds in (3, 5, 11) for arms in (2, 5, 20)]
Found = tuple[float, float, float]  # mean, low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    args = parser.parse_args()
    began = time.perf_counter()
    found = {
        "studies": args.studies,
        "table": [measured(*row, own=0.0, studies=args.studies) for row in TABLE],
        "grid": [measured(*row, own=own, studies=args.studies) for own in (0.0, 0.5) for row in GRID],
        "families": [family(*row, studies=args.studies) for row in FAMILIES],
    }
    found["seconds"] = round(time.perf_counter() - began, 1)
    for row in found["table"] + found["grid"]:
        print(line(row))
    for row in found["families"]:
        print(row)
    write("coverage", found)


def simulate(
    studies: int, seeds: int, images: int, *, luck: float, own: float, gain: float = 0.0, arms: int = 1, draw: int = 0
) -> np.ndarray:
    """Whether each answer is right: (studies, 1 + arms, seeds, images) bool, the reference first. `gain` shifts the
    margin of the arms."""
    rng = np.random.default_rng((draw, seeds, images, int(1000 * luck), int(1000 * own)))
    hard = 0.75 + rng.normal(size=(studies, 1, 1, images))
    changed = own * rng.normal(size=(studies, 1 + arms, 1, images))
    chance = luck * rng.normal(size=(studies, 1 + arms, seeds, 1))
    chance = chance + 0.7 * rng.normal(size=(studies, 1 + arms, seeds, images))
    shift = np.array([0.0] + [gain] * arms)[:, None, None]
    return hard + shift + changed + chance > 0  # type: ignore[no-any-return]


def shift_for(points: float, own: float) -> float:
    """The shift of the margin that makes an arm better by so many points."""
    spread = float(np.sqrt(1 + 0.49 + own**2))
    return float(norm.ppf(norm.cdf(0.75 / spread) + points / 100) * spread - 0.75)


def crossed(gap: np.ndarray) -> Found:
    """The interval of the project."""
    found = statistics.interval(statistics.spread(gap, np.full(gap.shape[1], 1 / gap.shape[1])), LEVEL)
    if found["verdict"] == statistics.ONE_SEED:
        return found["mean"], -1.0, 1.0
    return found["mean"], found["low"], found["high"]


def bootstrap(gap: np.ndarray) -> Found:
    """The interval that the project had before: units and images resampled, the part of the units widened."""
    units, n = gap.shape
    counts, which = _resampled(units, n)
    per_unit = counts @ gap.T / n
    wide = (
        np.sqrt(units / (units - 1)) * t.ppf((1 + LEVEL) / 2, units - 1) / norm.ppf((1 + LEVEL) / 2) if units > 1 else 1
    )
    drawn = np.take_along_axis(per_unit, which, axis=1).mean(1)
    means = per_unit.mean(1) + wide * (drawn - per_unit.mean(1))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(gap.mean()), float(low), float(high)


@cache
def _resampled(units: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each image and which units are drawn, the same for all studies: (draws, n) and (draws, units)."""
    rng = np.random.default_rng(0)
    return rng.multinomial(n, np.full(n, 1 / n), DRAWS).astype(float), rng.integers(0, units, (DRAWS, units))


def measured(seeds: int, images: int, luck: float, points: float, *, own: float, studies: int) -> dict[str, Any]:
    """One row: both intervals on the same studies."""
    size = {"seeds": seeds, "images": images, "luck": luck, "own": own, "points": points}
    null = simulate(studies, seeds, images, luck=luck, own=own).astype(np.float32)
    gained = simulate(studies, seeds, images, luck=luck, own=own, gain=shift_for(points, own), draw=1).astype(
        np.float32
    )
    row: dict[str, Any] = dict(size)
    for name, method in (("crossed", crossed), ("bootstrap", bootstrap)):
        row[name] = rates(method, null[:, 1] - null[:, 0], gained[:, 1] - gained[:, 0])
    if seeds > 1:
        row["smallest"] = smallest(null[:, 1] - null[:, 0], size, studies)
    return row


def rates(method: Callable[[np.ndarray], Found], null: np.ndarray, gained: np.ndarray) -> dict[str, float]:
    """False verdicts, power and width, in per cent and points."""
    zero, some = [method(gap.astype(float)) for gap in null], [method(gap.astype(float)) for gap in gained]
    return {
        "false": round(100 * float(np.mean([low > 0 or high < 0 for _, low, high in zero])), 1),
        "power": round(100 * float(np.mean([low > 0 for _, low, _ in some])), 1),
        "width": round(100 * float(np.mean([high - low for _, low, high in zero])), 1),
        "outside": round(100 * float(np.mean([low < -1 or high > 1 for _, low, high in zero])), 1),
    }


def smallest(null: np.ndarray, size: dict[str, Any], studies: int) -> dict[str, float | None]:
    """The smallest effect that studies say they would have found, and how often an effect of that size is found."""
    weight = np.full(null.shape[2], 1 / null.shape[2])
    said = [statistics.smallest_effect(statistics.spread(gap.astype(float), weight), LEVEL) for gap in null]
    known = [one for one in said if one is not None]
    points = 100 * float(np.median(known)) if len(known) > studies / 2 else None
    if points is None or points > 25:  # near the top there is no room for such a gain
        return {"points": None if points is None else round(points, 1), "found": None}
    some = simulate(
        studies, size["seeds"], size["images"], luck=size["luck"], own=size["own"],
        gain=shift_for(points, size["own"]), draw=2,
    ).astype(float)  # fmt: skip
    found = np.mean([crossed(gap)[1] > 0 for gap in some[:, 1] - some[:, 0]])
    return {"points": round(points, 1), "found": round(100 * float(found), 1)}


def family(seeds: int, images: int, arms: int, *, studies: int) -> dict[str, Any]:
    """How often one of several arms without a difference is called one, by each kind of p-value."""
    answers = simulate(studies, seeds, images, luck=0.1, own=0.3, arms=arms).astype(float)
    weight = np.full(images, 1 / images)
    found: dict[str, list[bool]] = {"raw": [], "holm": [], "corrected": []}
    for one in answers:
        gaps = [statistics.interval(statistics.spread(arm - one[0], weight), LEVEL) for arm in one[1:]]
        p = [float(gap["p"]) for gap in gaps]
        for name, values in (("raw", p), ("holm", holm(p)), ("corrected", corrected(gaps))):
            found[name].append(min(values) < 1 - LEVEL)
    shares = {name: round(100 * float(np.mean(hits)), 1) for name, hits in found.items()}
    return {"seeds": seeds, "images": images, "arms": arms, **shares}


def line(row: dict[str, Any]) -> str:
    """One row as text."""
    sides = "  ".join(
        f"{name}: {row[name]['false']:5.1f} % false, {row[name]['power']:5.1f} % power, {row[name]['width']:6.1f} wide"
        for name in ("bootstrap", "crossed")
    )
    size = f"{row['seeds']:2d} seeds {row['images']:4d} images luck {row['luck']:.1f} own {row['own']:.1f}"
    return f"{size} +{row['points']}  {sides}  {row.get('smallest') or ''}"


if __name__ == "__main__":
    main()
