"""Who makes the shards: this process, or Ray workers on one machine or a cluster. The result is the same."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from imaginate import cluster
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.shard import ShardWorker
from imaginate.errors import ConfigError

Announce = Callable[[int], None]


def run(
    recipe: ResolvedRecipe,
    plan: Plan,
    root: str,
    numbers: Sequence[int],
    count: int,
    address: str | None,
    announce: Announce,
) -> Iterator[dict[str, Any]]:
    """Make the shards `numbers`; yields each marker as it is committed, in any order."""
    if count < 1:
        raise ConfigError(f"workers must be in [1, inf), got {count}")
    if not numbers:
        return
    if count == 1 and address is None:
        worker = ShardWorker(recipe, plan, root)
        for number in numbers:
            yield _announced(worker.make(number), plan, announce)
        return
    for summary in _on_ray(recipe, plan, root, numbers, count, cluster.address_of(address)):
        yield _announced(summary, plan, announce)


def _announced(summary: dict[str, Any], plan: Plan, announce: Announce) -> dict[str, Any]:
    announce(sum(unit.wanted for unit in plan.shards[summary["shard"]]))
    return summary


def _on_ray(
    recipe: ResolvedRecipe, plan: Plan, root: str, numbers: Sequence[int], count: int, address: str | None
) -> Iterator[dict[str, Any]]:
    """Ray actors. Where no network is needed and Ray is this machine's, this process is one of the `count` workers and
    begins at once, while Ray starts; a job that is done by then needs no Ray."""
    cluster.require()
    waiting = deque(numbers)
    works_here = address is None and not _needs_roles(recipe)
    local = LocalWorker(lambda: ShardWorker(recipe, plan, root), waiting) if works_here else None
    try:
        cluster.library()
        actors = min(count - 1 if local else count, len(waiting))
        with cluster.session(actors, address) as ray:
            yield from _spread(ray, (recipe, plan), root, waiting, actors, local)
    finally:
        if local:
            local.stop()


def _needs_roles(recipe: ResolvedRecipe) -> bool:
    """Whether a network or a pool is needed, which one process more would hold in memory again."""
    return bool(recipe.needs)


def _spread(
    ray: Any, shared: tuple[ResolvedRecipe, Plan], root: str, waiting: deque[int], count: int, local: LocalWorker | None
) -> Iterator[dict[str, Any]]:
    """One shard in flight for each actor. An actor that dies is started anew and asked again."""
    free = _actors(ray, root, count) if count else []
    put = [ray.put((_inside(shared[0]), shared[1]))] if free else []  # inside a list: fetched by those who need it
    running: dict[Any, Any] = {}
    while waiting or running or (local and local.busy):
        while free and (number := _take_next(waiting)) is not None:
            one = free.pop()
            running[one.make.remote(number, put)] = one
        if local:
            yield from local.take(wait=not running)
        if running:
            for reference in ray.wait(list(running), timeout=0.05 if local else None)[0]:
                free.append(running.pop(reference))
                yield cluster.unwrap(ray, reference)


def _inside(recipe: ResolvedRecipe) -> ResolvedRecipe:
    """The recipe as a worker knows it."""
    return replace(recipe, roles=replace(recipe.roles, device=cluster.device_inside(recipe.roles.device)))


def _actors(ray: Any, root: str, count: int) -> list[Any]:
    """Actors that Ray can start anew at any time: nothing of what their constructor takes is in its object store."""
    share = cluster.gpu_share(ray.cluster_resources().get("GPU", 0), count)
    actor = ray.remote(num_cpus=1, num_gpus=share, max_restarts=-1, max_task_retries=-1)(_RayWorker)
    return [actor.remote(root, os.getcwd()) for _ in range(count)]


def _take_next(waiting: deque[int]) -> int | None:
    """The next shard; None when the list is empty. Two threads take from it."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


class LocalWorker:
    """A ShardWorker in a thread of this process, which takes from the same list of shards as the actors."""

    def __init__(self, build: Callable[[], ShardWorker], waiting: deque[int]) -> None:
        self._build, self._waiting = build, waiting
        self._results: SimpleQueue[dict[str, Any] | BaseException] = SimpleQueue()
        self._stopped = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it still works, or one of its results has not been taken."""
        return self._thread.is_alive() or not self._results.empty()

    def take(self, *, wait: bool) -> Iterator[dict[str, Any]]:
        """What is finished now; `wait`: a moment, if there is nothing."""
        if wait and self._results.empty():
            self._thread.join(0.05)
        while not self._results.empty():
            result = self._results.get()
            if isinstance(result, BaseException):
                raise result
            yield result

    def stop(self) -> None:
        """Finish the shard in hand and end."""
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            worker = self._build()
            while not self._stopped.is_set() and (number := _take_next(self._waiting)) is not None:
                self._results.put(worker.make(number))
        except BaseException as error:  # raised where the results are taken
            self._results.put(error)


class _RayWorker:
    """A ShardWorker inside a Ray actor, which works where the caller works."""

    def __init__(self, root: str, folder: str) -> None:
        self._root = root
        self._worker: ShardWorker | None = None
        cluster.enter(folder)

    def make(self, number: int, shared: list[Any]) -> tuple[str, Any]:
        """For `cluster.unwrap`. `shared`: a reference to recipe and plan, which the caller keeps in the store."""
        return cluster.catch(self._make, number, shared)

    def _make(self, number: int, shared: list[Any]) -> dict[str, Any]:
        if self._worker is None:
            recipe, plan = cluster.library().get(shared[0])
            self._worker = ShardWorker(recipe, plan, self._root)
        return self._worker.make(number)

    def pid(self) -> int:
        """The process id, for tests that kill a worker."""
        return os.getpid()
