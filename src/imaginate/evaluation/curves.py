"""The results of a study for the tool in which a team watches them, as they come."""

from __future__ import annotations

from collections.abc import Sequence

from imaginate.evaluation.answers import read_result
from imaginate.evaluation.job import Job
from imaginate.runs import Facts
from imaginate.tracking import log


class Curves:
    """The accuracies of the jobs of a study: a curve an arm, a step a seed; each is logged once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waiting = list(jobs)
        self._has_learners = len({job.plan.arch for job in jobs}) > 1

    def log_finished(self) -> None:
        """Log those that are finished and were not logged before."""
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            if not job.done():
                self._waiting.append(job)
                continue
            name = f"{job.plan.arch}/{job.arm}" if self._has_learners else job.arm
            if job.resample:
                name = f"{name}.{job.resample}"
            log({f"top1/{name}": float(read_result(job.folder)["top1"])}, job.seed)


def log_differences(found: Facts) -> None:
    """The difference of each arm to the reference, once all are there."""
    for arm in found["arms"]:
        gap = (arm["difference"] or {}).get("top1")
        if gap is not None:
            log({f"difference/{arm['name']}": gap["mean"]}, 0)
