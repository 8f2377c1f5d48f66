"""Measures that are no mean over images, as one: their value is the mean of parts that each image has.

The part of an image is the value plus the image's influence on it (the infinitesimal jackknife), so that the crossed
interval of seeds and images serves them, too: for the area under the ROC curve these are the components of DeLong et
al. 1988, as Obuchowski and Rockette use them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imaginate.evaluation.answers import Answers, Key
from imaginate.evaluation.statistics import by_seed

BINS = 15  # of confidence, as Guo et al. 2017 have them
NAMES = ("macro_f1", "auroc", "calibration_error")


def macro_f1_parts(predicted: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """Mean over the classes that are held out of 2 TP / (held out + predicted). (n,)"""
    n = len(label)
    held, said = np.bincount(label, minlength=classes), np.bincount(predicted, minlength=classes)
    right = np.bincount(label[predicted == label], minlength=classes)
    size = np.maximum(held + said, 1)
    there = held > 0
    score = np.where(there, 2 * right / size, 0.0)
    step = np.where(there, n / size, 0.0)
    influence = -step[label] * score[label] - step[predicted] * score[predicted]
    influence += np.where(predicted == label, 2 * step[label], 0.0)
    return (score.sum() + influence) / there.sum()  # type: ignore[no-any-return]


def auroc_parts(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """How often an image of class 1 scores higher than one of class 0, ties counted half. (n,)"""
    from scipy.stats import rankdata

    ones = label == 1
    n, many, few = len(label), int(ones.sum()), int((~ones).sum())
    rank = rankdata(score)
    parts = np.empty(n)
    parts[ones] = (rank[ones] - rankdata(score[ones])) / few
    parts[~ones] = 1 - (rank[~ones] - rankdata(score[~ones])) / many
    area = parts[ones].mean()
    share = np.where(ones, n / many, n / few)
    return area + share * (parts - area)  # type: ignore[no-any-return]


def calibration_parts(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Expected calibration error (Guo et al. 2017): the distance of confidence and accuracy in each bin. (n,)"""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gap = correct - confidence
    side = np.sign(np.bincount(place, weights=gap, minlength=BINS))
    return side[place] * gap  # type: ignore[no-any-return]


def parts(name: str, answers: Answers, keys: Sequence[Key], classes: int) -> np.ndarray | None:
    """(seeds, n) parts of a measure, the resamples of a seed averaged; None where it cannot be had: from classifiers
    that stored no probabilities, or the area under the curve of more than two classes."""
    label = answers.label
    if name == "macro_f1":
        return by_seed(keys, np.stack([macro_f1_parts(answers.predicted[key], label, classes) for key in keys]))
    if not answers.has_probability(keys):
        return None
    if name == "calibration_error":
        found = [calibration_parts(answers.probability[key][:, 0], answers.correct(key)) for key in keys]
        return by_seed(keys, np.stack(found))
    if classes != 2 or not 0 < label.sum() < len(label):
        return None
    return by_seed(keys, np.stack([auroc_parts(_second(answers, key), label) for key in keys]))


def _second(answers: Answers, key: Key) -> np.ndarray:
    """The probability of class 1 of two. (n,)"""
    first = answers.ranked[key][:, 0] == 1
    return np.where(first, answers.probability[key][:, 0], answers.probability[key][:, 1])
