"""The shards of a run on the workers of a Ray cluster, which may come and go."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from imaginate import cluster
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.shard import ShardWorker
from imaginate.errors import RunError
from imaginate.processes import TRIES, ProcessDied

LOOK = 2.0  # seconds after which the machines of the cluster are counted again
REST = 20.0  # seconds in which Ray finds out whether the machine of an actor that does not answer is gone
OUT_OF_REACH = object()

log = logging.getLogger("imaginate")


def on_ray(
    recipe: ResolvedRecipe, plan: Plan, root: str, numbers: Sequence[int], count: int, address: str
) -> Iterator[tuple[int, Any]]:
    """`count` actors on the cluster at `address`; yields each shard with its marker as it is committed, in any order,
    or with the ProcessDied of one that ended its actor again and again."""
    waiting = deque(numbers)
    actors = min(count, len(waiting))
    with cluster.session(actors, address) as ray:
        yield from _spread(ray, (recipe, plan), root, waiting, actors, cluster.Head(ray, address))


def _spread(
    ray: Any, shared: tuple[ResolvedRecipe, Plan], root: str, waiting: deque[int], count: int, head: cluster.Head
) -> Iterator[tuple[int, Any]]:
    """One shard in flight for each actor. An actor that dies is started anew and asked again, TRIES times in all; where
    its whole machine is gone, another actor makes its shard, and so it is while it cannot be reached: it rests until
    Ray knows which of both it is. RunError where the head of the cluster is gone."""
    free = _actors(ray, root, count)
    places = Places(ray, free, head)
    put = [ray.put((inside(shared[0]), shared[1]))]  # inside a list: fetched by those who need it
    running: dict[Any, tuple[Any, int]] = {}
    resting: dict[Any, float] = {}
    unreached: Counter[int] = Counter()
    while waiting or running:
        while free and waiting:
            one, number = free.pop(), waiting.popleft()
            running[one.make.remote(number, put)] = one, number
        if running:
            done = ray.wait(list(running), timeout=LOOK)[0]
        else:
            done = []
            time.sleep(LOOK)
        for reference in done:
            one, number = running.pop(reference)
            made = _result(ray, reference)
            if made is not OUT_OF_REACH:
                free.append(one)
                yield number, made
                continue
            resting[one] = time.monotonic()
            unreached[number] += 1
            if unreached[number] < TRIES:
                waiting.append(number)
            else:
                yield number, ProcessDied("could not be reached")
        for one in [one for one, since in resting.items() if time.monotonic() - since >= REST]:
            del resting[one]
            if places.gone([one]):
                ray.kill(one)
            else:
                free.append(one)
        for reference in places.lost({ref: one for ref, (one, _) in running.items()}):
            one, number = running.pop(reference)
            waiting.appendleft(number)
            ray.kill(one)
        if waiting and not (running or free or resting):
            free.extend(_actors(ray, root, 1))
            places.add(free)


def _result(ray: Any, reference: Any) -> Any:
    """The marker of a shard, the ProcessDied of its actor, or OUT_OF_REACH; raises what the shard itself raised."""
    try:
        return cluster.unwrap(ray, reference)
    except RunError as error:
        if isinstance(error.__cause__, ray.exceptions.ActorUnavailableError):
            return OUT_OF_REACH
        deaths = ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError
        if isinstance(error.__cause__, deaths):
            return ProcessDied("ended, perhaps for want of memory")
        raise


class Places:
    """The machine of each actor. Ray starts an actor of a dead machine anew where there is room for it, and there is
    none while every other actor keeps its processor: its shard would wait for ever."""

    def __init__(self, ray: Any, actors: Sequence[Any], head: cluster.Head) -> None:
        self._head = head
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
        if not self._head.answers():
            return []
        actors = self.gone(running.values())
        gone = [reference for reference, one in running.items() if one in actors]
        if gone:
            log.warning(
                f"a machine of the Ray cluster was lost with {len(gone)} of its workers; others make their shards"
            )
        return gone

    def gone(self, actors: Iterable[Any]) -> set[Any]:
        """Those of the actors whose machine is known to be gone."""
        asked = list(self._asked)
        for reference in self._ray.wait(asked, num_returns=len(asked), timeout=0)[0] if asked else ():
            with suppress(self._ray.exceptions.RayError):
                self._node[self._asked.pop(reference)] = self._ray.get(reference)
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return {actor for actor in actors if self._node.get(actor, "") not in ("", *alive)}


def inside(recipe: ResolvedRecipe) -> ResolvedRecipe:
    """The recipe as a worker knows it, which sees one GPU."""
    return replace(recipe, roles=replace(recipe.roles, device=cluster.device_inside(recipe.roles.device)))


def _actors(ray: Any, root: str, count: int) -> list[Any]:
    """Actors that Ray can start anew at any time: nothing of what their constructor takes is in its object store."""
    share = cluster.gpu_share(ray.cluster_resources().get("GPU", 0), count)
    actor = ray.remote(num_cpus=1, num_gpus=share, max_restarts=-1, max_task_retries=TRIES - 1)(_RayWorker)
    return [actor.remote(root, os.getcwd()) for _ in range(count)]


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
