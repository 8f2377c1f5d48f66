"""Which mistakes an arm makes: classes taken for each other, and the images that it gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imaginate.evaluation.answers import Answers, Key
from imaginate.evaluation.statistics import FEW, by_seed, interval, spread
from imaginate.runs import Values

MOST = 12  # pairs of classes, and images, that are listed
WHOLE = 20  # classes up to which the whole table is stored


def confusion(
    own: Answers, reference: Answers | None, keys: Sequence[Key], names: Sequence[str], level: float
) -> Values:
    """The classes that are taken for each other: `pairs`, those whose share changed most (or, without a reference, the
    largest), each with its interval; `table`, the share of each true class (row) called each class, of few classes."""
    classes = len(names)
    shares = _table(own, keys, classes)
    before = _table(reference, keys, classes) if reference is not None else None
    size = np.abs(shares - before) if before is not None else shares
    size = np.where(np.eye(classes, dtype=bool), 0, size)
    order = np.argsort(-size, axis=None, kind="stable")[:MOST]
    pairs = []
    for true, said in zip(*np.unravel_index(order, size.shape), strict=True):
        if size[true, said] > 0:
            row = {"class": names[true], "called": names[said], "share": float(shares[true, said])}
            pairs.append(row | _change(own, reference, keys, int(true), int(said), level))
    whole = classes <= WHOLE
    return {
        "pairs": pairs,
        "table": shares.round(6).tolist() if whole else None,
        "change": (shares - before).round(6).tolist() if whole and before is not None else None,
    }


def _table(answers: Answers, keys: Sequence[Key], classes: int) -> np.ndarray:
    """(classes, classes): of each true class the mean share over the classifiers; 0 for a class without images."""
    flat = [np.bincount(answers.label * classes + answers.predicted[key], minlength=classes**2) for key in keys]
    counts = np.mean(flat, axis=0).reshape(classes, classes)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)  # type: ignore[no-any-return]


def _change(own: Answers, reference: Answers | None, keys: Sequence[Key], true: int, said: int, level: float) -> Values:
    """How the share of one pair of classes changed, with an interval where the class has enough images."""
    nothing: Values = {"change": None, "low": None, "high": None}
    if reference is None:
        return nothing
    of = own.label == true
    sides = [by_seed(keys, np.stack([a.predicted[key][of] == said for key in keys])) for a in (own, reference)]
    found = interval(spread(sides[0] - sides[1], np.full(int(of.sum()), 1 / of.sum())), level)
    if of.sum() < FEW:
        return nothing | {"change": found["mean"]}
    return {name: found[key] for name, key in (("change", "mean"), ("low", "low"), ("high", "high"))} | {
        "verdict": found["verdict"]
    }


def most_wrong(
    own: Answers, reference: Answers | None, keys: Sequence[Key], ids: Sequence[str], names: Sequence[str]
) -> list[Values]:
    """The held-out images that the most classifiers of an arm get wrong, the surest first among equals; `called`: the
    class that most of them say; `reference`: how often the reference is wrong there."""
    wrong = 1 - own.matrix(keys).mean(0)
    sure = np.zeros(len(wrong))
    if own.has_probability(keys):
        sure = np.mean([own.probability[key][:, 0] * ~own.correct(key) for key in keys], axis=0)
    before = None if reference is None else 1 - reference.matrix(keys).mean(0)
    rows = []
    for place in np.lexsort((np.arange(len(wrong)), -sure, -wrong))[:MOST]:
        if wrong[place] == 0:
            break
        said = np.bincount([own.predicted[key][place] for key in keys if not own.correct(key)[place]])
        rows.append({
            "id": ids[place], "class": names[own.label[place]], "called": names[int(said.argmax())],
            "wrong": float(wrong[place]), "confidence": float(sure[place]) if sure.any() else None,
            "reference": None if before is None else float(before[place]),
        })  # fmt: skip
    return rows


def changed(
    own: Answers, reference: Answers | None, keys: Sequence[Key], ids: Sequence[str], names: Sequence[str]
) -> dict[str, list[Values]]:
    """The held-out images that more classifiers of an arm get right than of the reference (`gained`), and those that
    fewer do (`lost`), the largest change first; `called`: what the side that is wrong more often mostly says."""
    if reference is None:
        return {"gained": [], "lost": []}
    wrong, before = 1 - own.matrix(keys).mean(0), 1 - reference.matrix(keys).mean(0)
    return {
        name: [_moved(side, keys, place, ids, names, wrong, before) for place in _first(sign * (before - wrong))]
        for name, side, sign in (("gained", reference, 1), ("lost", own, -1))
    }


def _first(change: np.ndarray) -> list[int]:
    order = np.lexsort((np.arange(len(change)), -change))[:MOST]
    return [int(place) for place in order if change[place] > 0]


def _moved(
    side: Answers, keys: Sequence[Key], place: int, ids: Sequence[str], names: Sequence[str],
    wrong: np.ndarray, before: np.ndarray,
) -> Values:  # fmt: skip
    said = np.bincount([side.predicted[key][place] for key in keys if not side.correct(key)[place]])
    return {
        "id": ids[place], "class": names[side.label[place]], "called": names[int(said.argmax())],
        "wrong": float(wrong[place]), "reference": float(before[place]),
    }  # fmt: skip
