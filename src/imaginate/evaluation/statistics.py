"""Means, standard errors, intervals of paired differences and the exchange rate, from per-image answers.

A *unit* is a seed: one trained classifier, or the mean over RET's resamples of a seed, which share its validation part
and are no independent evidence. Every arm has the same units, with the same validation part, the same order of draws
and the same held-out images, so differences are taken unit by unit and image by image before anything is averaged.

The interval is that of a crossed design with two random factors, seeds and images: readers and cases in the studies of
several readers and many cases (Obuchowski and Rockette 1995; Hillis 2014), with Satterthwaite's degrees of freedom.
`benchmarks/coverage.py` simulates how often it is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from imaginate.runs import Values

FEW = 5  # held-out images of a class below which no interval is given
POWER = 0.8  # with which the smallest visible effect is found
BARRED = "no verdict"  # of an arm whose images show too many held-out ones
ONE_SEED = "one seed"  # the verdict of a single unit: its luck cannot be separated from a difference


def class_accuracy(correct: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """(units, n), labels (n,) -> (units, classes); NaN for a class without held-out images."""
    counts = np.bincount(label, minlength=classes).astype(float)
    sums = np.stack([np.bincount(label, weights=row, minlength=classes) for row in correct.astype(float)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts  # type: ignore[no-any-return]


def by_seed(keys: Sequence[tuple[int, int]], values: np.ndarray) -> np.ndarray:
    """Values (classifiers, ...) of (seed, resample) keys -> (seeds, ...): the mean over the resamples of each seed."""
    seeds = np.array([seed for seed, _ in keys])
    values = np.asarray(values, float)
    return np.stack([values[seeds == seed].mean(axis=0) for seed in dict.fromkeys(seeds.tolist())])


def summary(keys: Sequence[tuple[int, int]], values: Sequence[float]) -> Values:
    """Mean and standard error (n - 1) over seeds, over the resamples of one seed alone, no error from one value; `n`
    counts classifiers."""
    from scipy.stats import sem

    units = by_seed(keys, np.asarray(values, float))
    units = units if len(units) > 1 else np.asarray(values, float)
    se = float(sem(units)) if len(units) > 1 else None
    return {"mean": float(np.mean(values)), "se": se, "n": len(values)}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How exactly the mean of a (units, n) table is known: the variance of the mean as the units show it (`unit`), as
    the images show it (`image`), and the part that both hold, which is left over when both are known (`both`)."""

    mean: float
    units: int
    images: int
    unit: float
    image: float
    both: float
    free: int  # degrees of freedom of `image`

    @property
    def variance(self) -> float:
        """Variance of the mean: units + images - both. Few units show too little spread by chance as often as too much,
        so theirs is at least its share of `both` over the degrees of freedom that it was found with."""
        if self.units < 2:
            return self.image
        return max(self.unit, self.both / (self.units - 1)) + max(self.image - self.both, 0.0)

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of that variance (Hillis 2014, eq. 9)."""
        if self.units < 2:
            return self.free
        below = self.unit**2 / (self.units - 1) + max(self.image - self.both, 0.0) ** 2 / max(1, self.free)
        return self.variance**2 / below if below else math.inf


def spread(values: np.ndarray, weight: np.ndarray, strata: np.ndarray | None = None) -> Spread:
    """The mean squares of values (units, n), weighted by (n,) that sums to 1; images are random within their stratum.

    A stratum of one image shows no spread: it gets that of the others together; where no stratum has two images, all
    of them are one.
    """
    units, n = values.shape
    groups = _groups(strata) if strata is not None else [np.arange(n)]
    if all(len(rows) < 2 for rows in groups):
        groups = [np.arange(n)]
    share = np.array([weight[rows].sum() for rows in groups])
    between, rest, sizes = _within(values * weight, groups, share)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = between / (sizes - 1), rest / (sizes - 1)
    image, both = (
        np.where(sizes > 1, x, np.sum(y) / max(1, (sizes - 1).sum()))
        for x, y in zip(found, (between, rest), strict=True)
    )
    totals = (values * weight).sum(1)
    return Spread(
        mean=float(totals.mean()), units=units, images=n, free=int((sizes - 1).sum()),
        unit=float(totals.var(ddof=1) / units) if units > 1 else 0.0,
        image=float((share**2 * image / sizes).sum()),
        both=float((share**2 * both / sizes).sum() / (units * (units - 1))) if units > 1 else 0.0,
    )  # fmt: skip


def _within(parts: np.ndarray, groups: Sequence[np.ndarray], share: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each group: the sum of squares of its images' means over the units, and of what is left when the means of
    image and unit are gone, with the group's weight taken out; and its size."""
    between, rest = np.zeros(len(groups)), np.zeros(len(groups))
    for place, rows in enumerate(groups):
        own = parts[:, rows] * (len(rows) / share[place] if share[place] else 0.0)  # (units, size)
        image = own.mean(0)
        between[place] = ((image - image.mean()) ** 2).sum()
        rest[place] = ((own - own.mean(1, keepdims=True) - image + image.mean()) ** 2).sum()
    return between, rest, np.array([len(rows) for rows in groups], float)


def _groups(strata: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(strata, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)


def difference(
    arm: np.ndarray,
    reference: np.ndarray,
    weight: np.ndarray,
    *,
    level: float,
    draws: int | None = None,
    strata: np.ndarray | None = None,
    seed: int = 0,
) -> Values:
    """The mean of `arm - reference`, both (units, n), with its interval, its p-value and the smallest effect that
    would have been found; `verdict` says whether the interval covers 0.

    `weight` (n,) sums to 1: 1/n for top-1, 1/(classes * images of the class) for the mean over classes, whose images
    are random within their class (`strata`). One unit has no spread of units: its interval is one `over` images, and
    it gives no verdict. Nothing is drawn: `draws` and `seed` are read no more.
    """
    found = spread(arm.astype(float) - reference.astype(float), weight, strata)
    return interval(found, level) | {"smallest": smallest_effect(found, level)}


def interval(found: Spread, level: float) -> Values:
    """Student's interval of a mean of differences of shares, inside [-1, 1]."""
    from scipy.stats import t

    se, freedom = math.sqrt(found.variance), found.freedom
    half = float(t.ppf((1 + level) / 2, freedom)) * se if se else 0.0
    low, high = max(-1.0, found.mean - half), min(1.0, found.mean + half)
    sure = "gain" if low > 0 else "loss" if high < 0 else "unclear"
    p = float(2 * t.sf(abs(found.mean) / se, freedom)) if se else float(found.mean == 0)
    several = found.units > 1
    return {
        "mean": found.mean,
        "low": low,
        "high": high,
        "level": level,
        "verdict": sure if several else ONE_SEED,
        "over": "seeds and images" if several else "images",
        "p": p if several else None,
        "p_tail": tail_p(found) if several else None,
    }


def tail_p(found: Spread) -> float:
    """The generalized p-value (Tsui and Weerahandi 1989; for sums of mean squares) of a mean of several units.

    Satterthwaite's approximation is right at 5 %, but with few units it calls too much at the far smaller levels that a
    correction for many comparisons asks for: where the units agree by chance, it takes their luck for small. Here the
    variance of the units is not one number but all that their mean square v of u units allows,

        p = E_X[ 2 Phi(-|mean| / sqrt(max(v (u - 1) / X, both) + image - both)) ],   X chi-squared of u - 1 degrees

    so that the tail is that of Student's t of u - 1 degrees as far as the units' luck counts.
    """
    from scipy.stats import norm

    if not found.variance:
        return float(found.mean == 0)
    share, chi = _chi(found.units - 1)
    of_units = np.maximum(found.unit * (found.units - 1) / chi, found.both)
    se = np.sqrt(of_units + max(found.image - found.both, 0.0))
    return float((share * 2 * norm.sf(abs(found.mean) / se)).sum())


@cache
def _chi(freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and places of a quadrature over the chi-squared distribution, dense at its lower end."""
    from scipy.stats import chi2

    places, weights = np.polynomial.legendre.leggauss(64)
    root = (places + 1) / 2
    return weights / 2 * 4 * root**3, chi2.ppf(root**4, freedom)


def smallest_effect(found: Spread, level: float, power: float = POWER) -> float | None:
    """The smallest true difference that a two-sided test at this level finds with this power, by the noncentral t
    distribution. None for one unit, where even a difference of 1 would be missed, and where nothing varied."""
    se, freedom = math.sqrt(found.variance), found.freedom
    if found.units < 2 or not se:
        return None
    effect = shift_found(round(min(freedom, 1000), 2), level, power) * se
    return effect if effect < 1 else None


@cache
def shift_found(freedom: float, level: float, power: float) -> float:
    """The true mean, in standard errors, that Student's test finds with this power."""
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    cut = float(t.ppf((1 + level) / 2, freedom))
    return float(brentq(lambda shift: nct.sf(cut, freedom, shift) - power, 0, 20 * cut, xtol=1e-3))


def class_weight(label: np.ndarray) -> np.ndarray:
    """The weight of each image in the mean over classes. (n,), sums to 1"""
    counts = np.bincount(label)
    return 1 / (np.count_nonzero(counts) * counts[label])  # type: ignore[no-any-return]


def accuracy_differences(
    arm: np.ndarray, reference: np.ndarray, label: np.ndarray, *, level: float, draws: int | None = None
) -> Values:
    """The differences in top-1 and in mean per-class accuracy."""
    flat = np.full(len(label), 1 / len(label))
    return {
        "top1": difference(arm, reference, flat, level=level),
        "mean_per_class": difference(arm, reference, class_weight(label), level=level, strata=label),
    }


def per_class(
    arm: np.ndarray,
    reference: np.ndarray | None,
    label: np.ndarray,
    names: Sequence[str],
    *,
    level: float,
    draws: int | None = None,
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
                found = interval(spread(arm[:, of] - reference[:, of].astype(float), weight), level)
                row["change"] = found["mean"]
                if of.sum() >= FEW:
                    row.update(low=found["low"], high=found["high"], verdict=found["verdict"])
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
