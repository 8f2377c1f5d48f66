"""Arms and seeds spread over Ray workers; each job writes into its own folder, so nothing is sent back but a line."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

from imaginate import cluster
from imaginate.evaluation.job import Job
from imaginate.evaluation.running import run_job
from imaginate.progress import bar


def spread(
    jobs: list[Job], workers: int, *, progress: bool = True, finished: Callable[[Job], None] = lambda job: None
) -> None:
    """Run jobs on up to `workers` Ray tasks at a time; the first error ends the others and is raised.

    `finished` is called here, in the caller's process, with each job that is done, in the order in which they end.
    """
    workers = min(workers, len(jobs))
    with cluster.session(workers, cluster.address_of(None)) as ray:
        gpus = ray.cluster_resources().get("GPU", 0) if any(_on_gpu(job) for job in jobs) else 0
        share = cluster.gpu_share(gpus, workers)
        task = ray.remote(num_cpus=1, num_gpus=share, max_retries=2)(cluster.catch)
        with (
            bar(f"{workers} workers", len(jobs), unit="classifiers", show=progress) as shown,
            closing(_finished(ray, task, jobs, workers)) as done,
        ):
            for job in done:
                shown.note(job.title)
                shown.advance(1)
                finished(job)


def _finished(ray: Any, task: Any, jobs: list[Job], workers: int) -> Generator[Job]:
    """The jobs as they end, `workers` of them at a time. What is left when the caller stops asking is ended too: Ray
    may be the caller's, and a job left behind would write into a folder of the next call."""
    waiting, running = deque(jobs), dict[Any, Job]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.popleft()
                running[task.remote(_work, os.getcwd(), _inside(job))] = job
            for reference in ray.wait(list(running), num_returns=1)[0]:
                job = running.pop(reference)
                cluster.unwrap(ray, reference)
                yield job
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _on_gpu(job: Job) -> bool:
    return job.plan.device.startswith("cuda")


def _inside(job: Job) -> Job:
    """The job as a worker runs it."""
    return replace(job, plan=replace(job.plan, device=cluster.device_inside(job.plan.device)))


def _work(folder: str, job: Job) -> None:
    cluster.enter(folder)
    run_job(job)
