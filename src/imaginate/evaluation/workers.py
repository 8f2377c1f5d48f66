"""Arms and seeds spread over processes of this machine, or a Ray cluster; each job writes into its own folder, so that
nothing is sent back but a line."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from imaginate import cluster
from imaginate.devices import gpu_of_worker, see_gpu
from imaginate.errors import RunError
from imaginate.evaluation.job import Job
from imaginate.evaluation.running import run_job
from imaginate.processes import TRIES, LastingProcess, Process, ProcessDied, processors, take_turns
from imaginate.progress import bar


def spread(
    jobs: list[Job], workers: int, *, progress: bool = True, finished: Callable[[Job], None] = lambda job: None
) -> None:
    """Run up to `workers` jobs at a time, on the cluster that RAY_ADDRESS names, else in processes of this machine; the
    first error ends the others and is raised.

    `finished` is called here, in the caller's process, with each job that is done, in the order in which they end.
    """
    workers, address = min(workers, len(jobs)), cluster.address_of(None)
    done = _on_ray(jobs, workers, address) if address else _on_processes(jobs, workers)
    with bar(f"{workers} workers", len(jobs), unit="classifiers", show=progress) as shown, closing(done):
        for job in done:
            shown.note(job.title)
            shown.advance(1)
            finished(job)


def _on_processes(jobs: list[Job], workers: int) -> Generator[Job]:
    device = next((job.plan.device for job in jobs if _on_gpu(job)), "cpu")
    start = partial(Process, threads=max(1, processors() // workers), imports=("torch", "torchvision"))
    others = [LastingProcess(start, see_gpu, gpu_of_worker(device, place)) for place in range(workers)]
    makers = [partial(_elsewhere, other) for other in others]
    with closing(take_turns(makers, jobs, others)) as made:
        for job, result in made:
            if isinstance(result, ProcessDied):
                raise RunError(f"{job.title}: each of {TRIES} workers {result}; give fewer --workers, or none")
            yield job


def _elsewhere(other: LastingProcess, job: Job) -> None:
    other.call(run_job, _inside(job))


def _on_ray(jobs: list[Job], workers: int, address: str) -> Generator[Job]:
    with cluster.session(workers, address) as ray:
        gpus = ray.cluster_resources().get("GPU", 0) if any(_on_gpu(job) for job in jobs) else 0
        share = cluster.gpu_share(gpus, workers)
        task = ray.remote(num_cpus=1, num_gpus=share, max_retries=2)(cluster.catch)
        with closing(_finished(ray, task, jobs, workers)) as done:
            yield from done


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
