"""Who makes the shards: this process, or Ray workers on one machine or a cluster. The result is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from imaginate.engine.plan import Plan
from imaginate.engine.recipe import Recipe
from imaginate.engine.shard import ShardWorker
from imaginate.errors import ConfigError, ImaginateError, RunError

Announce = Callable[[int], None]


def run(
    recipe: Recipe, plan: Plan, root: str, numbers: Sequence[int], count: int, address: str | None, announce: Announce
) -> Iterator[dict[str, Any]]:
    """Make the shards `numbers`; yields each marker as it is committed, in any order."""
    if count < 1:
        raise ConfigError(f"workers must be in [1, inf), got {count}")
    if not numbers:
        return
    if count == 1 and address is None:
        worker = ShardWorker(recipe, plan, root)
        for number in numbers:
            yield _told(worker.make(number), plan, announce)
        return
    for summary in _on_ray(recipe, plan, root, numbers, count, address):
        yield _told(summary, plan, announce)


def _told(summary: dict[str, Any], plan: Plan, announce: Announce) -> dict[str, Any]:
    announce(sum(unit.wanted for unit in plan.shards[summary["shard"]]))
    return summary


def _on_ray(
    recipe: Recipe, plan: Plan, root: str, numbers: Sequence[int], count: int, address: str | None
) -> Iterator[dict[str, Any]]:
    try:
        import ray
    except ImportError:
        raise ConfigError("more than one worker needs Ray: pip install 'imaginate[ray]'") from None
    mine = not ray.is_initialized()
    if mine:
        _start(ray, count, address)
    try:
        yield from _spread(ray, recipe, plan, root, numbers, count)
    finally:
        if mine:
            ray.shutdown()


def _start(ray: Any, count: int, address: str | None) -> None:
    import logging
    import os

    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        options["address"] = address
    else:
        options.update(num_cpus=max(count, os.cpu_count() or 1), include_dashboard=False)
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RunError(f"cannot reach Ray at {address or 'this machine'}: {str(error).splitlines()[0]}") from None


def _spread(
    ray: Any, recipe: Recipe, plan: Plan, root: str, numbers: Sequence[int], count: int
) -> Iterator[dict[str, Any]]:
    """One actor a worker, two shards in flight for each. A worker that dies is started anew and asked again."""
    gpus = ray.cluster_resources().get("GPU", 0)
    actor = ray.remote(num_cpus=1, num_gpus=min(1.0, gpus / count), max_restarts=-1, max_task_retries=-1)(_RayWorker)
    shared = ray.put((recipe, plan))
    actors = [actor.remote(shared, root) for _ in range(min(count, len(numbers)))]
    waiting = list(reversed(numbers))
    running: dict[Any, Any] = {}
    for one in actors * 2:
        if waiting:
            running[one.make.remote(waiting.pop())] = one
    while running:
        ready, _ = ray.wait(list(running))
        one = running.pop(ready[0])
        result = _unwrap(ray, ready[0])
        if waiting:
            running[one.make.remote(waiting.pop())] = one
        yield result


def _unwrap(ray: Any, reference: Any) -> dict[str, Any]:
    try:
        kind, value = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise RunError(f"a worker failed: {str(error).splitlines()[-1]}") from None
    if kind == "error":
        raise value
    return value  # type: ignore[no-any-return]


class _RayWorker:
    """A ShardWorker inside a Ray actor. Deliberate errors travel as values, so that their one line survives."""

    def __init__(self, shared: tuple[Recipe, Plan], root: str) -> None:
        self._shared, self._root = shared, root
        self._worker: ShardWorker | None = None

    def make(self, number: int) -> tuple[str, Any]:
        try:
            if self._worker is None:
                self._worker = ShardWorker(*self._shared, self._root)
            return "done", self._worker.make(number)
        except ImaginateError as error:
            return "error", error

    def pid(self) -> int:
        """The process id, for tests that kill a worker."""
        import os

        return os.getpid()
