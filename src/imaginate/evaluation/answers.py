"""What the finished classifiers of one arm answered, image by image, as their folders hold it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from imaginate.errors import RunError
from imaginate.evaluation import statistics
from imaginate.evaluation.job import PREDICTIONS, RESULT, Job
from imaginate.files import first_line
from imaginate.limits import parse_json
from imaginate.runs import Values
from imaginate.shapes import ANSWER, misfit

Key = tuple[int, int]  # seed, resample


def read_result(folder: Path) -> Values:
    """What a finished classifier of a study reached. RunError where the file is damaged."""
    path = folder / RESULT
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, first_line(error)) from None
    if wrong := misfit(found, ANSWER):
        raise _damaged(path, wrong)
    return dict(found)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file) as saved:
            found = {name: saved[name] for name in saved.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, zlib.error, BadZipFile) as error:
        raise _damaged(path, first_line(error)) from None
    if lost := {"label", "predicted"} - found.keys():
        raise _damaged(path, f"it has no {min(lost)}")
    return found


def _damaged(path: Path, why: str) -> RunError:
    return RunError(f"{path} is damaged: {why}; delete {path.parent} to train this classifier again")


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
        self.units[key] = read_result(job.folder)
        saved = _read_arrays(job.folder / PREDICTIONS)
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
