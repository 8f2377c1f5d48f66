"""Who makes the shards: this process, or Ray workers on one machine or a cluster. The result is the same."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from imaginate import cluster
from imaginate.engine.context import RunContext
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.shard import ShardWorker
from imaginate.errors import ConfigError

LOOK = 2.0  # seconds after which the machines of the cluster are counted again

log = logging.getLogger("imaginate")
Announce = Callable[[int], None]


def run(
    recipe: ResolvedRecipe,
    plan: Plan,
    root: str,
    numbers: Sequence[int],
    count: int,
    address: str | None,
    announce: Announce,
    before: Callable[[RunContext | None], None] = lambda context: None,
) -> Iterator[dict[str, Any]]:
    """Make the shards `numbers`; yields each marker as it is committed, in any order. `before` is called once, with the
    roles where this process has them."""
    if count < 1:
        raise ConfigError(f"workers must be in [1, inf), got {count}")
    if not numbers:
        return
    if count == 1 and address is None:
        worker = ShardWorker(recipe, plan, root)
        before(worker.context)
        for number in numbers:
            yield _announced(worker.make(number), plan, announce)
        return
    before(None)
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
    """One shard in flight for each actor. An actor that dies is started anew and asked again; where its whole machine
    is gone, another actor makes its shard."""
    free = _actors(ray, root, count) if count else []
    places = Places(ray, free)
    put = [ray.put((_inside(shared[0]), shared[1]))] if free else []  # inside a list: fetched by those who need it
    running: dict[Any, tuple[Any, int]] = {}
    while waiting or running or (local and local.busy):
        while free and (number := _take_next(waiting)) is not None:
            one = free.pop()
            running[one.make.remote(number, put)] = one, number
        if local:
            yield from local.take(wait=not running)
        if running:
            for reference in ray.wait(list(running), timeout=0.05 if local else LOOK)[0]:
                free.append(running.pop(reference)[0])
                yield cluster.unwrap(ray, reference)
            for reference in places.lost({ref: one for ref, (one, _) in running.items()}):
                one, number = running.pop(reference)
                waiting.appendleft(number)
                ray.kill(one)
                if not running and not free:
                    free.extend(_actors(ray, root, 1))
                    places.add(free)


class Places:
    """The machine of each actor. Ray starts an actor of a dead machine anew where there is room for it, and there is
    none while every other actor keeps its processor: its shard would wait for ever."""

    def __init__(self, ray: Any, actors: Sequence[Any]) -> None:
        self._ray, self._asked, self._node = ray, dict[Any, Any](), dict[Any, str]()
        self._looked = time.monotonic()
        self.add(actors)

    def add(self, actors: Sequence[Any]) -> None:
        """Ask each where it is, before it has anything else to do."""
        self._asked.update({one.where.remote(): one for one in actors})

    def lost(self, running: Mapping[Any, Any]) -> list[Any]:
        """Those of the tasks whose actor's machine is gone; asked again every few seconds."""
        if time.monotonic() - self._looked < LOOK:
            return []
        self._looked = time.monotonic()
        for reference in (
            self._ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)[0] if self._asked else []
        ):
            with suppress(self._ray.exceptions.RayError):
                self._node[self._asked.pop(reference)] = self._ray.get(reference)
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        gone = [reference for reference, one in running.items() if self._node.get(one, "") not in ("", *alive)]
        if gone:
            log.warning(
                f"a machine of the Ray cluster was lost with {len(gone)} of its workers; others make their shards"
            )
        return gone


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

    def where(self) -> str:
        """The machine that it is on, as Ray calls it."""
        return str(cluster.library().get_runtime_context().get_node_id())

    def pid(self) -> int:
        """The process id, for tests that kill a worker."""
        return os.getpid()
