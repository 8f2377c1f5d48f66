"""Arms and seeds spread over Ray workers; each job writes into its own folder, so nothing is sent back but a line."""

from __future__ import annotations

import os
from typing import Any

from imaginate.errors import ConfigError
from imaginate.evaluate.unit import Job, run_job
from imaginate.progress import bar


def spread(jobs: list[Job], workers: int, *, show: bool = True) -> None:
    """Run jobs on up to `workers` Ray tasks at a time; the first error ends the others and is raised."""
    try:
        import ray
    except ImportError:
        raise ConfigError("workers above 1 need ray: pip install 'imaginate[ray]'") from None
    started = not ray.is_initialized()
    if started:
        address = os.environ.get("RAY_ADDRESS")
        local: dict[str, Any] = {} if address else {"num_cpus": max(workers, os.cpu_count() or 1)}
        ray.init(address=address, include_dashboard=False, log_to_driver=False, **local)
    gpu = any(job.plan.device.startswith("cuda") for job in jobs)
    resources: Any = ray.cluster_resources  # untyped in ray
    share = (resources().get("GPU", 0) / workers) if gpu else 0
    task = ray.remote(num_cpus=1, num_gpus=share, max_retries=2)(run_job)
    try:
        _drain(ray, [(job, task) for job in jobs], workers, show)
    finally:
        if started:
            ray.shutdown()


def _drain(ray: Any, todo: list[tuple[Job, Any]], workers: int, show: bool) -> None:
    running: dict[Any, Job] = {}
    with bar(f"{workers} workers", len(todo), unit="classifiers", show=show) as progress:
        while todo or running:
            while todo and len(running) < workers:
                job, task = todo.pop(0)
                running[task.remote(job)] = job
            ready, _ = ray.wait(list(running), num_returns=1)
            for reference in ready:
                job = running.pop(reference)
                ray.get(reference)
                progress.note(job.title)
                progress.advance(1)
