"""Where a classifier fails: the pairs of classes that it takes for one another, and the classes to spend on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imaginate.evaluation.statistics import class_weight, difference
from imaginate.runs import Values


def confusions(said: np.ndarray, label: np.ndarray) -> list[tuple[int, int, int]]:
    """Predictions (repeats, n), labels (n,) -> (true class, called class, how often), the most frequent first."""
    wrong = said != label
    true = np.broadcast_to(label, said.shape)[wrong]
    pairs, counts = np.unique(np.stack([true, said[wrong]]), axis=1, return_counts=True)
    found = [(int(a), int(b), int(n)) for a, b, n in zip(*pairs, counts, strict=True)]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))


def weak_classes(
    pairs: Sequence[tuple[int, int, int]], share: float, *, most: int | None = None
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """The classes of the most frequent confusions that together are so large a share of all mistakes, both of each,
    and these confusions: what parts two classes needs images of both. `most`: classes; where it is one, the true
    class of the first."""
    total, taken = sum(n for *_, n in pairs), 0
    used: list[tuple[int, int, int]] = []
    classes: set[int] = set()
    for pair in pairs:
        more = classes | {*pair[:2]}
        if taken >= share * total or (most is not None and len(more) > most):
            break
        used.append(pair)
        classes, taken = more, taken + pair[2]
    return (sorted(classes), used) if used or not pairs else ([pairs[0][0]], [pairs[0]])


def gain(after: np.ndarray, before: np.ndarray, label: np.ndarray, level: float) -> Values:
    """Mean class accuracy after and before, (repeats, n) bool each, the difference with its interval, and the smallest
    difference that would have been seen (`smallest`; None where nothing varied)."""
    weight = class_weight(label)
    found = difference(after, before, weight, level=level, strata=label)
    means = {name: float((table * weight).sum(1).mean()) for name, table in (("before", before), ("after", after))}
    return means | {key: found[key] for key in ("mean", "low", "high", "level", "p", "smallest", "verdict")}


def by_class(after: np.ndarray, before: np.ndarray, label: np.ndarray, names: Sequence[str]) -> list[Values]:
    """The accuracy of every class before and after, the one that changed most first."""
    rows = [
        {
            "class": name,
            "images": int((label == number).sum()),
            "before": float(before[:, label == number].mean()),
            "after": float(after[:, label == number].mean()),
        }
        for number, name in enumerate(names)
        if (label == number).any()
    ]
    return sorted(rows, key=lambda row: (-abs(row["after"] - row["before"]), row["class"]))
