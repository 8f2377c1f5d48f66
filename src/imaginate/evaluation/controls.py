"""The arms that say whether a study can judge at all, and what its accuracies are worth in real images.

Yardstick: fewer originals (`original@0.5`, `original@0.25`) and, where there are more real images, `real:N`. Positive
control: more real images must help. Negative control: `duplicate`, which holds nothing new, must not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from imaginate.data import open_dataset
from imaginate.evaluation.answers import Answers, shared
from imaginate.evaluation.arms import Arm, parse_arm
from imaginate.evaluation.planning import corrected
from imaginate.evaluation.protocol import Protocol
from imaginate.evaluation.statistics import difference, interval, spread
from imaginate.runs import Values

SHARES = (0.5, 0.25)
REAL = ("original", "subset", "real")  # arms of real images alone: the yardstick
CANDIDATES = ("run", "synthetic", "folder", "online-aug")  # arms that a study is asked about
GRID = 81  # places of the yardstick at which an arm is compared with it


def with_controls(arms: Sequence[Arm], protocol: Protocol) -> list[Arm]:
    """The arms, and the controls that are not among them and make sense on these images."""
    sizes = open_dataset(protocol.originals).counts().values()
    trained = 1.0 if protocol.validation_split else 1 - protocol.validation
    counts = [max(1, round(trained * n)) for n in sizes]
    specs = ["original", "duplicate"]
    taken = [counts]
    for share in SHARES:
        part = [max(1, round(share * n)) for n in counts]
        if part not in taken:
            taken.append(part)
            specs.append(f"original@{share:g}")
    has_real = protocol.real or protocol.real_split or _leaves_out(protocol, sum(sizes))
    if protocol.held_out_split != "rest" and has_real:
        specs.append(f"real:{max(1, math.ceil(sum(counts) / len(counts)))}")
    there = {(arm.kind, arm.share) for arm in arms}
    added = [arm for arm in map(parse_arm, specs) if (arm.kind, arm.share) not in there]
    names = {arm.name for arm in arms}
    return [*arms, *(arm for arm in added if arm.name not in names)]


def _leaves_out(protocol: Protocol, taken: int) -> bool:
    """Whether shots or fraction leaves real images out: a number of shots that every class is below leaves none."""
    if not (protocol.shots or protocol.fraction or protocol.imbalance):
        return False
    whole = replace(protocol.originals, shots=None, fraction=None, imbalance=None)
    return taken < sum(open_dataset(whole).counts().values())


def judged(arms: Sequence[Arm], answers: Mapping[str, Answers], level: float) -> Values | None:
    """The controls of a study, and whether it can judge; None where no control has been trained in two seeds."""
    positive, negative = _positive(arms, answers, level), _negative(arms, answers, level)
    if not positive and negative is None:
        return None
    seen = [one for one in positive if one["verdict"] == "gain" and one["p_holm"] < 1 - level]
    fault = ""
    if positive and not seen:
        best = max(positive, key=lambda one: float(one["mean"]))
        sure = (
            f" (p {best['p_holm']:.2g} after Holm's correction over {len(positive)} pairs)" if len(positive) > 1 else ""
        )
        fault = f"more real images did not show: {best['more']} against {best['less']} {_points(best)} points{sure}"
    elif negative is not None and negative["verdict"] == "gain":
        fault = f"{negative['arm']}, which holds no new image, came out as a gain: {_points(negative)} points"
    return {"positive": positive, "negative": negative, "can_judge": not fault, "fault": fault}


def _positive(arms: Sequence[Arm], answers: Mapping[str, Answers], level: float) -> list[Values]:
    """Every two neighbours of the yardstick and its two ends, the larger against the smaller, with Holm's p."""
    found: list[Values] = []
    yard = yardstick(arms, answers)
    pairs = list(pairwise(yard)) + ([(yard[0], yard[-1])] if len(yard) > 2 else [])
    for less, more in pairs:
        a, b = answers[more], answers[less]
        keys = shared([a, b])
        if len({seed for seed, _ in keys}) > 1:
            flat = np.full(len(a.label), 1 / len(a.label))
            gap = difference(a.matrix(keys), b.matrix(keys), flat, level=level)
            found.append({"more": more, "less": less, **gap})
    return [one | {"p_holm": p} for one, p in zip(found, corrected(found), strict=True)]


def _negative(arms: Sequence[Arm], answers: Mapping[str, Answers], level: float) -> Values | None:
    twin = next((arm.name for arm in arms if arm.kind == "duplicate" and answers[arm.name].units), None)
    plain = next((arm.name for arm in arms if arm.kind == "original" and answers[arm.name].units), None)
    if twin is None or plain is None:
        return None
    keys = shared([answers[twin], answers[plain]])
    if len({seed for seed, _ in keys}) < 2:
        return None
    flat = np.full(len(answers[twin].label), 1 / len(answers[twin].label))
    a, b = answers[twin].matrix(keys), answers[plain].matrix(keys)
    return {"arm": twin} | difference(a, b, flat, level=level)


def yardstick(arms: Sequence[Arm], answers: Mapping[str, Answers]) -> list[str]:
    """The trained arms of real images alone, from few to many."""
    named = {arm.name: images(answers[arm.name]) for arm in arms if arm.kind in REAL and answers[arm.name].units}
    return sorted(named, key=lambda name: named[name])


def images(answers: Answers) -> float:
    """Real images that the first classifier of an arm was trained on."""
    counts = answers.units[answers.keys[0]]["images"]
    return float(counts["original"] + counts["real"])


def worth(arm: str, plain: str, yard: Sequence[str], answers: Mapping[str, Answers], level: float) -> Values | None:
    """What an arm is worth in real images more than `plain` has, below zero too: where the yardstick, straight between
    its points over the logarithm of their number, has the arm's accuracy. The interval holds every place of the
    yardstick from which the arm does not differ by the crossed test; an end beyond the yardstick is None. None with
    fewer than two points or two seeds."""
    keys = shared([answers[name] for name in (arm, plain, *yard)])
    sizes = [images(answers[name]) for name in yard]
    if len(set(sizes)) < 2 or len({seed for seed, _ in keys}) < 2:
        return None
    own = answers[arm].matrix(keys)
    curve = np.stack([answers[name].matrix(keys) for name in yard])  # (points, seeds, n)
    flat = np.full(own.shape[1], 1 / own.shape[1])
    places = np.geomspace(sizes[0], sizes[-1], GRID)
    covers = []
    for place in places:
        found = interval(spread(own - _at(place, sizes, curve), flat), level)
        covers.append(found["low"] <= 0 <= found["high"])
    start = images(answers[plain])
    value = _crossing(float(own.mean()), sizes, curve.mean((1, 2)))
    low, high = _ends(places, np.array(covers), value if value is not None else (
        sizes[-1] if own.mean() > curve.mean((1, 2)).max() else sizes[0]
    ))  # fmt: skip
    ends = {"value": value, "low": low, "high": high}
    return {"arm": arm} | {name: None if end is None else end - start for name, end in ends.items()} | {
        "least": sizes[0] - start, "most": sizes[-1] - start,
    }  # fmt: skip


def _at(place: float, sizes: Sequence[float], curve: np.ndarray) -> np.ndarray:
    """The answers of the yardstick between two of its points. (seeds, n)"""
    right = int(np.clip(np.searchsorted(sizes, place), 1, len(sizes) - 1))
    a, b = math.log(sizes[right - 1]), math.log(sizes[right])
    share = float(np.clip((math.log(place) - a) / (b - a), 0, 1)) if b > a else 0.0
    return (1 - share) * curve[right - 1] + share * curve[right]  # type: ignore[no-any-return]


def _crossing(accuracy: float, sizes: Sequence[float], means: np.ndarray) -> float | None:
    """Where the yardstick, made to rise (isotonic regression), has this accuracy; None beyond its ends."""
    from scipy.optimize import isotonic_regression

    risen = isotonic_regression(means).x
    if not risen[0] <= accuracy <= risen[-1]:
        return None
    return float(np.exp(np.interp(accuracy, risen + 1e-12 * np.arange(len(risen)), np.log(sizes))))


def _ends(places: np.ndarray, covers: np.ndarray, value: float) -> tuple[float | None, float | None]:
    """The lowest and the highest place that is covered, None at the yardstick's own ends; around the value where none
    is."""
    if not covers.any():
        lower = None if value <= places[0] else value
        return lower, None if value >= places[-1] else value
    inside = np.flatnonzero(covers)
    low = None if inside[0] == 0 else float(places[inside[0]])
    return low, None if inside[-1] == len(places) - 1 else float(places[inside[-1]])


def _points(found: Values) -> str:
    return f"{100 * found['mean']:+.1f} [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
