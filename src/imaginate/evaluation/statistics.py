"""Means, standard errors, paired bootstrap intervals and the exchange rate, from per-image correctness.

A *unit* is a seed: one trained classifier, or the mean over RET's resamples of a seed, which share its validation part
and are no independent evidence (with one seed alone, its resamples are the units). Every arm has the same units, with
the same validation part, the same order of draws and the same held-out images, so differences are taken unit by unit
and image by image before anything is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from imaginate.runs import Values

FEW = 5  # held-out images of a class below which no interval is given


def class_accuracy(correct: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """(units, n), labels (n,) -> (units, classes); NaN for a class without held-out images."""
    counts = np.bincount(label, minlength=classes).astype(float)
    sums = np.stack([np.bincount(label, weights=row, minlength=classes) for row in correct.astype(float)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts  # type: ignore[no-any-return]


def by_seed(keys: Sequence[tuple[int, int]], values: np.ndarray) -> np.ndarray:
    """Values (classifiers, ...) of (seed, resample) keys -> (units, ...): the mean over the resamples of each seed;
    unchanged where there is one seed alone."""
    seeds = np.array([seed for seed, _ in keys])
    values = np.asarray(values, float)
    if len(set(seeds.tolist())) < 2:
        return values
    return np.stack([values[seeds == seed].mean(axis=0) for seed in dict.fromkeys(seeds.tolist())])


def summary(keys: Sequence[tuple[int, int]], values: Sequence[float]) -> Values:
    """Mean and standard error (n - 1) over units, no error from one unit; `n` counts classifiers."""
    from scipy.stats import sem

    units = by_seed(keys, np.asarray(values, float))
    se = float(sem(units)) if len(units) > 1 else None
    return {"mean": float(np.mean(values)), "se": se, "n": len(values)}


def difference(
    arm: np.ndarray,
    reference: np.ndarray,
    weight: np.ndarray,
    *,
    level: float,
    draws: int,
    strata: np.ndarray | None = None,
    seed: int = 0,
) -> Values:
    """Paired bootstrap of `arm - reference`, both (units, n) in [0, 1]: units and images are resampled, pairs never
    split.

    `weight` (n,) sums to 1: 1/n for top-1, 1/(classes * images of the class) for the mean over classes, whose images
    are resampled within their class (`strata`). A percentile interval; `verdict` says whether it covers 0.

    Resampling three seeds makes their spread seem far too small; the part of each draw that comes from the units is
    therefore widened to what Student's t asks for so few of them (Hesterberg 2015, expanded percentiles).
    """
    gap = (arm.astype(float) - reference.astype(float)) * weight
    rng = np.random.default_rng(seed)
    wide = _widening(len(gap), level)
    means = np.concatenate([_draw(gap, strata, size, rng, wide) for size in _chunks(draws, gap.shape[1])])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    verdict = "gain" if low > 0 else "loss" if high < 0 else "unclear"
    return {
        "mean": float(gap.sum(1).mean()),
        "low": float(low),
        "high": float(high),
        "level": level,
        "verdict": verdict,
    }


def _draw(gap: np.ndarray, strata: np.ndarray | None, draws: int, rng: np.random.Generator, wide: float) -> np.ndarray:
    """`draws` bootstrap means of (units, n) weighted differences."""
    units, n = gap.shape
    groups = [np.arange(n)] if strata is None else _groups(strata)
    picked = np.concatenate([rows[rng.integers(0, len(rows), (draws, len(rows)))] for rows in groups], axis=1)
    places = (picked + n * np.arange(draws)[:, None]).ravel()
    counts = np.bincount(places, minlength=draws * n).reshape(draws, n)
    per_unit = counts @ gap.T  # (draws, units)
    which = rng.integers(0, units, (draws, units))
    centre = per_unit.mean(axis=1)
    drawn = np.take_along_axis(per_unit, which, axis=1).mean(axis=1)
    return centre + wide * (drawn - centre)  # type: ignore[no-any-return]


def _widening(units: int, level: float) -> float:
    """sqrt(n / (n - 1)) * t / z: what the bootstrap of n values lacks; 1 unit has no spread to widen."""
    from scipy.stats import norm, t

    if units < 2:
        return 1.0
    p = (1 + level) / 2
    return float(np.sqrt(units / (units - 1)) * t.ppf(p, units - 1) / norm.ppf(p))


def _groups(strata: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(strata, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)


def _chunks(draws: int, n: int) -> list[int]:
    size = max(1, min(draws, 4_000_000 // max(1, n)))
    return [size] * (draws // size) + ([draws % size] if draws % size else [])


def class_weight(label: np.ndarray) -> np.ndarray:
    """The weight of each image in the mean over classes. (n,), sums to 1"""
    counts = np.bincount(label)
    return 1 / (np.count_nonzero(counts) * counts[label])  # type: ignore[no-any-return]


def accuracy_differences(
    arm: np.ndarray, reference: np.ndarray, label: np.ndarray, *, level: float, draws: int
) -> Values:
    """The differences in top-1 and in mean per-class accuracy."""
    flat = np.full(len(label), 1 / len(label))
    return {
        "top1": difference(arm, reference, flat, level=level, draws=draws),
        "mean_per_class": difference(arm, reference, class_weight(label), level=level, draws=draws, strata=label),
    }


def per_class(
    arm: np.ndarray, reference: np.ndarray | None, label: np.ndarray, names: Sequence[str], *, level: float, draws: int
) -> list[Values]:
    """Accuracy of each class, and its change (RET Fig. 5A), with an interval where the class has at least `FEW`
    held-out images: resampling one or two of them over and over says nothing."""
    rows = []
    for index, name in enumerate(names):
        of = label == index
        row: Values = {
            "class": name,
            "held_out": int(of.sum()),
            "accuracy": None,
            "change": None,
            "low": None,
            "high": None,
        }
        if of.any():
            row["accuracy"] = float(arm[:, of].mean())
            if reference is not None:
                weight = np.full(int(of.sum()), 1 / of.sum())
                found = difference(arm[:, of], reference[:, of], weight, level=level, draws=draws, seed=index)
                row["change"] = found["mean"]
                if of.sum() >= FEW:
                    row.update(low=found["low"], high=found["high"])
        rows.append(row)
    return rows


def real_worth(accuracy: float, curve: Sequence[tuple[float, float]]) -> tuple[float | None, str]:
    """How many extra real images reach an accuracy: read from the measured curve [(extra real images, accuracy)],
    straight lines between its points, never beyond its ends."""
    points = sorted(curve)
    if len(points) < 2:
        return None, "no real:N arm was measured"
    if accuracy < points[0][1]:
        return None, "accuracy is below the measured range of real:N arms"
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 <= accuracy <= y1 and y1 > y0:
            return x0 + (x1 - x0) * (accuracy - y0) / (y1 - y0), ""
    if accuracy > max(y for _, y in points):
        return None, "accuracy is above the measured range of real:N arms"
    return None, "the accuracy of real:N arms does not rise there"


def exchange(arm: str, synthetic: int, reference: float, gap: Values, curve: Sequence[tuple[float, float]]) -> Values:
    """Synthetic images that are worth one real image. `low` and `high` come from the interval of the difference; null
    where its end is outside the measured range. No rate where no gain is shown."""
    real, note = real_worth(reference + gap["mean"], curve)
    if not note and gap.get("verdict", "gain") != "gain":
        real, note = None, "no gain shown: the interval of the difference covers 0"
    few, many = (real_worth(reference + gap[key], curve)[0] for key in ("low", "high"))
    return {
        "arm": arm,
        "synthetic": synthetic,
        "real": real,
        "rate": synthetic / real if real else None,
        "low": synthetic / many if many else None,
        "high": synthetic / few if few else None,
        "note": note or ("" if real else "worth no real image"),
    }
