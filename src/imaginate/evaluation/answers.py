"""What the finished classifiers of one arm answered, image by image, as their folders hold it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from imaginate.evaluation import statistics
from imaginate.evaluation.job import PREDICTIONS, RESULT, Job
from imaginate.limits import parse_json
from imaginate.runs import Values

Key = tuple[int, int]  # seed, resample


class Answers:
    """The finished classifiers of one arm, by (seed, resample).

    `ranked` and `probability`, (n, k): the k likeliest classes of each image and their probabilities, of classifiers
    that stored them; those of earlier versions did not.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.units: dict[Key, Values] = {}
        self.label = np.zeros(0, np.int64)
        self.predicted: dict[Key, np.ndarray] = {}
        self.ranked: dict[Key, np.ndarray] = {}
        self.probability: dict[Key, np.ndarray] = {}
        self.corruption: dict[Key, np.ndarray] = {}
        for job in jobs:
            if job.done():
                self._read(job)

    def _read(self, job: Job) -> None:
        key = (job.seed, job.resample)
        self.units[key] = parse_json((job.folder / RESULT).read_text(encoding="utf-8"))
        with np.load(job.folder / PREDICTIONS) as saved:
            self.label = saved["label"]
            self.predicted[key] = saved["predicted"]
            for name, place in (("ranked", self.ranked), ("probability", self.probability)):
                if name in saved:
                    place[key] = saved[name]
            if "corruption_correct" in saved:
                self.corruption[key] = saved["corruption_correct"]

    @property
    def keys(self) -> list[Key]:
        """The finished classifiers, in order."""
        return sorted(self.units)

    def has_probability(self, keys: Iterable[Key]) -> bool:
        """Whether each of these classifiers stored its probabilities."""
        return all(key in self.probability for key in keys)

    def correct(self, key: Key) -> np.ndarray:
        """(n,) bool"""
        return self.predicted[key] == self.label  # type: ignore[no-any-return]

    def matrix(self, keys: Sequence[Key]) -> np.ndarray:
        """(seeds, n) correctness, the resamples of a seed averaged."""
        return statistics.by_seed(keys, np.stack([self.correct(key) for key in keys]))


def shared(answers: Sequence[Answers]) -> list[Key]:
    """The classifiers that each of these arms has."""
    return [key for key in answers[0].keys if all(key in other.units for other in answers)] if answers else []
