"""The parts of a measure have its value as their mean, and their spread is that of the measure itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.evaluation import measures


def naive_f1(predicted: np.ndarray, label: np.ndarray) -> float:
    scores = []
    for c in np.unique(label):
        hits = ((predicted == c) & (label == c)).sum()
        said, held = (predicted == c).sum(), (label == c).sum()
        precision, recall = (hits / said if said else 0.0), hits / held
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return float(np.mean(scores))


def naive_auroc(score: np.ndarray, label: np.ndarray) -> float:
    pairs = [(a > b) + 0.5 * (a == b) for a in score[label == 1] for b in score[label == 0]]
    return float(np.mean(pairs))


def naive_calibration(confidence: np.ndarray, correct: np.ndarray) -> float:
    total = 0.0
    for b in range(15):
        own = (confidence >= b / 15) & ((confidence < (b + 1) / 15) | (b == 14))
        if own.any():
            total += own.mean() * abs(correct[own].mean() - confidence[own].mean())
    return total


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_the_mean_of_the_parts_is_the_measure(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, 30)])
    predicted = np.where(rng.random(len(label)) < 0.5, label, rng.integers(0, classes + 2, len(label)))
    assert measures.macro_f1_parts(predicted, label, classes + 2).mean() == pytest.approx(naive_f1(predicted, label))
    two, score = label % 2, rng.integers(0, 6, len(label)) / 5
    assert measures.auroc_parts(score, two).mean() == pytest.approx(naive_auroc(score, two))
    confidence = rng.random(len(label))
    found = measures.calibration_parts(confidence, predicted == label).mean()
    assert found == pytest.approx(naive_calibration(confidence, predicted == label))


def answers(rng: np.random.Generator, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    label = rng.integers(0, 2, n)
    return label, np.clip(0.5 + 0.25 * (label - 0.5) + 0.3 * rng.normal(size=n), 0, 1)


Parts = Callable[[np.ndarray, np.ndarray], np.ndarray]
# A calibration error is a mean of sizes, and not smooth: the parts show up to a third more spread than there is.
MEASURES: list[tuple[Parts, float]] = [
    (lambda label, score: measures.macro_f1_parts((score > 0.5).astype(int), label, 2), 1.15),
    (lambda label, score: measures.auroc_parts(score, label), 1.15),
    (lambda label, score: measures.calibration_parts(np.maximum(score, 1 - score), (score > 0.5) == label), 1.35),
]


@pytest.mark.parametrize(("parts", "most"), MEASURES)
def test_the_spread_of_the_parts_is_the_standard_error_of_the_measure(parts: Parts, most: float) -> None:
    found = [parts(*answers(np.random.default_rng(seed))) for seed in range(400)]
    truth = np.std([one.mean() for one in found])
    shown = np.sqrt(np.mean([one.var(ddof=1) / len(one) for one in found]))
    assert 0.85 * truth <= shown <= most * truth
