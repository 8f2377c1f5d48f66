"""What a run would make, and what it would cost, from a plan and a measured warm-up of one batch."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from imaginate.data import open_dataset
from imaginate.engine.plan import Plan, Unit, make_plan
from imaginate.engine.recipe import Recipe
from imaginate.engine.shard import ShardWorker


@dataclass(frozen=True)
class Forecast:
    """Counts are exact as long as nothing is rejected; seconds and bytes are measured on a few images."""

    plan: Plan
    seconds_per_image: float
    bytes_per_image: float
    measured: int

    @property
    def seconds(self) -> float:
        """Expected seconds with one worker."""
        return self.seconds_per_image * self.plan.wanted

    @property
    def bytes(self) -> float:
        """Expected size of the new images."""
        return self.bytes_per_image * self.plan.wanted


def forecast(recipe: Recipe) -> Forecast:
    """Plan the run and make two small batches of it in a temporary folder: the first warms up, the second is timed."""
    plan = make_plan(recipe, open_dataset(recipe.data))
    few = list(_few(plan, recipe.expand.batch * 2))
    half = max(1, len(few) // 2)
    trial = dataclasses.replace(plan, shards=(tuple(few[:half]), tuple(few[half:] or few)))
    with tempfile.TemporaryDirectory(prefix="imaginate-plan-") as folder:
        worker = ShardWorker(recipe, trial, folder)
        worker.make(0)
        before, start = _size(folder), time.perf_counter()
        worker.make(1)
        seconds, size = time.perf_counter() - start, _size(folder) - before
    images = sum(unit.wanted for unit in trial.shards[1])
    return Forecast(plan, seconds / max(1, images), size / max(1, images), images)


def _few(plan: Plan, limit: int) -> Iterator[Unit]:
    """The first units that make images, with at most 16 images each."""
    units = [unit for shard in plan.shards for unit in shard if unit.wanted]
    for unit in units[:limit]:
        yield dataclasses.replace(unit, stop=min(unit.stop, unit.start + 16))


def _size(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
