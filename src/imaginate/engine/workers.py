"""Who makes the shards: this process, with others of this machine, or the workers of a Ray cluster. The result is the
same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from imaginate import cluster
from imaginate.devices import gpu_of_worker, see_gpu, use_threads
from imaginate.engine.context import RunContext
from imaginate.engine.plan import Plan
from imaginate.engine.ray_workers import inside, on_ray
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.engine.shard import ShardWorker
from imaginate.errors import ConfigError, RunError
from imaginate.processes import TRIES, LastingProcess, Process, ProcessDied, processors, take_turns

Announce = Callable[[int], None]
Speak = Callable[[RunContext | None], None]


class Team:
    """The workers of one run, from the start of the command on: other processes read the libraries while this one reads
    the images."""

    def __init__(
        self, recipe: ResolvedRecipe, count: int, address: str | None = None, *, is_needed: bool = True
    ) -> None:
        """`count` workers; ConfigError below 1. `address`: of a Ray cluster. `is_needed`: whether there is work, as far
        as is known; where not, the other processes start when there is."""
        if not isinstance(count, int) or count < 1:
            raise ConfigError(f"workers must be a whole number in [1, inf), got {count!r}")
        self._recipe, self.count = recipe, count
        self._address = cluster.address_of(address) if count > 1 or address else None
        if self._address:
            cluster.require()
        others = count - 1 if is_needed and not self._address else 0
        self._share_of_processors = max(1, processors() // count)
        self._threads = self._share_of_processors if recipe.needs else 1
        self._processes = [self._process() for _ in range(min(others, processors()))]

    def run(
        self, plan: Plan, root: str, numbers: Sequence[int], announce: Announce, before: Speak = lambda context: None
    ) -> Iterator[dict[str, Any]]:
        """Make the shards `numbers`; yields each marker as it is committed, in any order. `before` is called once, with
        the roles where this process has them."""
        if not numbers:
            return
        for number, summary in self._made(plan, root, numbers, before):
            announce(sum(unit.wanted for unit in plan.shards[number]))
            yield summary

    def _made(self, plan: Plan, root: str, numbers: Sequence[int], before: Speak) -> Iterator[tuple[int, Any]]:
        """Each shard with its marker. One that ends its worker again and again is left out, and said when all others
        are made."""
        if self._address:
            before(None)
            made = on_ray(self._recipe, plan, root, numbers, self.count, self._address)
        else:
            here = ShardWorker(self._recipe, plan, root, self._share_of_processors)
            before(here.context)
            if self.count == 1:
                yield from ((number, here.make(number)) for number in numbers)
                return
            made = self._share(here, plan, root, numbers)
        failed: dict[int, ProcessDied] = {}
        for number, summary in made:
            if isinstance(summary, ProcessDied):
                failed[number] = summary
            else:
                yield number, summary
        if failed:
            raise RunError(_names(failed, plan))

    def close(self) -> None:
        """End the other processes."""
        for process in self._processes:
            process.close()

    def _process(self) -> Process:
        return Process(threads=self._threads, imports=("imaginate.engine.shard",))

    def _share(self, here: ShardWorker, plan: Plan, root: str, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """This process and the others take from one list."""
        if self._recipe.needs:
            use_threads(self._threads)
        others = [self._other(place, plan, root) for place in range(1, min(self.count, len(numbers)))]
        makers: list[Callable[[int], Any]] = [here.make, *(partial(other.call, _make) for other in others)]
        with closing(take_turns(makers, numbers, others)) as made:
            yield from made

    def _other(self, place: int, plan: Plan, root: str) -> LastingProcess:
        """A ShardWorker in another process."""
        gpu = gpu_of_worker(self._recipe.roles.device, place) if self._recipe.needs else None
        first = self._processes[place - 1] if place <= len(self._processes) else None
        return LastingProcess(
            self._process, _begin, gpu, inside(self._recipe), plan, root, self._share_of_processors, first=first
        )


_worker: ShardWorker | None = None  # of a process that makes shards for another one


def _begin(gpu: str | None, recipe: ResolvedRecipe, plan: Plan, root: str, threads: int) -> None:
    """In the other process: build what every shard needs."""
    global _worker
    see_gpu(gpu)
    _worker = ShardWorker(recipe, plan, root, threads)


def _make(number: int) -> dict[str, Any]:
    """In the other process: one shard."""
    assert _worker is not None
    return _worker.make(number)


def _names(failed: Mapping[int, ProcessDied], plan: Plan) -> str:
    """One line: which shards, from which seed images, and what to do."""
    first = min(failed)
    seeds = sorted({unit.key for unit in plan.shards[first]})
    more = f", and {len(failed) - 1} more shards" if len(failed) > 1 else ""
    return (
        f"shard {first} (seed images {seeds[0]} to {seeds[-1]}){more} could not be made: "
        f"each of {TRIES} workers {failed[first]}; all others are done: the same command tries again, "
        "with fewer --workers where memory is short"
    )
