"""What a run would make, and what it would cost, from a plan and a measured warm-up of one batch."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any

from imaginate.data.decoding import pixels_of
from imaginate.data.frames import frames_note
from imaginate.data.known_formats import formats_of
from imaginate.devices import refuse_missing
from imaginate.engine.agreement import Tally, remark
from imaginate.engine.gather import gather
from imaginate.engine.outlook import Fact, Made, outlook
from imaginate.engine.plan import Plan
from imaginate.engine.reading import read
from imaginate.engine.recipe import SECTIONS, Recipe
from imaginate.engine.resolve import ResolvedRecipe, recipe_from
from imaginate.engine.shard import ShardWorker
from imaginate.engine.sizes import shrinking, size_in_words
from imaginate.engine.units import Unit
from imaginate.errors import ImageError, lines_of_classes
from imaginate.markdown import table
from imaginate.progress import duration
from imaginate.records import FileBacked
from imaginate.settings import with_keywords

LOOKED_AT = 100  # seed images whose format is found out
READING = 1.5  # seconds for reading seed images: those that are under two labels give no copies
PATIENCE = 1.5  # seconds for decoding seed images: broken ones give no copies


@dataclass(frozen=True)
class Forecast:
    """Counts are exact as long as nothing is rejected; seconds and bytes are measured on a few images. `facts`: what to
    know before the run begins (split, guide, sizes, class names, pool)."""

    method: str
    plan: Plan
    seconds_per_image: float
    bytes_per_image: float
    measured: int
    notes: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()

    @property
    def seconds(self) -> float:
        """Expected seconds with one worker."""
        return self.seconds_per_image * self.plan.wanted

    @property
    def bytes(self) -> float:
        """Expected size of the new images."""
        return self.bytes_per_image * self.plan.wanted

    def to_dict(self) -> dict[str, Any]:
        """Counts, time, disk and facts as plain values."""
        return {
            "method": self.method, "new": self.plan.wanted, "classes": {**self.plan.counts}, "seconds": self.seconds,
            "bytes": self.bytes, "measured_on": self.measured, "shards": len(self.plan.shards),
            "skipped": [list(one) for one in self.plan.skipped], "notes": list(self.notes),
            "facts": [{"text": fact.text, "warns": fact.warns} for fact in self.facts],
        }  # fmt: skip

    def to_pandas(self) -> Any:
        """Seeds and new images of each class as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist([{"class": name, **count} for name, count in self.plan.counts.items()]).to_pandas()

    def __repr__(self) -> str:
        return f"Forecast({self.method!r}: {self.plan.wanted} new images, about {duration(self.seconds)})"

    def _repr_html_(self) -> str:
        """For notebooks: the classes, and below them what is printed."""
        rows = [{"class": name, **count} for name, count in self.plan.counts.items()]
        return f"{table(rows)}<pre>{escape(str(self).split(chr(10) * 2, 1)[-1])}</pre>"

    def __str__(self) -> str:
        """Classes, totals, disk, time."""
        plan, width = self.plan, max([len(name) for name in self.plan.counts] + [5])
        rate = 1 / self.seconds_per_image if self.seconds_per_image else float("inf")
        lines = [f"{'class':<{width}}  {'seeds':>7}  {'new':>8}"]
        each = [(f"{name:<{width}}  {c['seeds']:>7}  {c['new']:>8}", not c["new"]) for name, c in plan.counts.items()]
        lines += lines_of_classes(each)
        seeds = sum(c["seeds"] for c in plan.counts.values())
        lines += [f"{'total':<{width}}  {seeds:>7}  {plan.wanted:>8}", ""]
        lines.append(
            f"{plan.wanted} new images by {self.method} in {len(plan.shards)} shard{'s' * (len(plan.shards) != 1)}"
        )
        lines.append(f"disk: about {size_in_words(self.bytes)} ({size_in_words(self.bytes_per_image)} an image)")
        time = duration(self.seconds)
        lines.append(f"time: about {time} with one worker ({rate:,.1f} images/s, measured on {self.measured})")
        if plan.skipped:
            lines.append(f"skipped: {len(plan.skipped)} seed images, first: {' - '.join(plan.skipped[0])}")
            reasons = Counter(reason for _, reason in plan.skipped).most_common()
            lines += [f"  {count:>7}  {reason}" for reason, count in reasons if len(reasons) > 1]
        said = [f"note: {fact.text}" if fact.warns else fact.text for fact in self.facts]
        lines += [*(["", *said] if said else []), *(f"note: {note}" for note in self.notes)]
        return "\n".join(lines)


@with_keywords(*SECTIONS.values(), open_ended=True)
def plan(
    data: str | None = None,
    method: str | None = None,
    *,
    recipe: Recipe | ResolvedRecipe | Mapping[str, Any] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Forecast:
    """What `expand` with the same arguments would make, and what it would cost. Nothing is kept.

    `data`, `method`, `recipe` and `settings` as for `expand`. Raises ImaginateError as `expand` does.
    """
    return forecast(recipe_from(gather(recipe, data, method, settings)), progress=progress)


def forecast(recipe: ResolvedRecipe, *, progress: bool = False) -> Forecast:
    """Plan the run and make two small batches of it in a temporary folder: the first warms up, the second is timed."""
    refuse_missing(recipe.roles.device)
    whole, split = read(recipe, progress=progress, patience=READING)
    plan, broken = _without_broken(whole)
    few = list(_few(plan, recipe.expand.batch * 2))
    half = max(1, len(few) // 2)
    trial = dataclasses.replace(plan, shards=(tuple(few[:half]), tuple(few[half:] or few)))
    with tempfile.TemporaryDirectory(prefix="imaginate-plan-") as folder:
        worker = ShardWorker(recipe, trial, folder)
        worker.make(0)
        before, start = _size(folder), time.perf_counter()
        summary = worker.make(1)
        seconds, size = time.perf_counter() - start, _size(folder) - before
    images = max(1, sum(unit.wanted for unit in trial.shards[1]))
    note = shrinking(summary["seed_size"], summary["new_size"], by_prior=recipe.draws_squares)
    lost = remark(*(Tally.of([summary.get(key, {})]) for key in ("judged_copies", "judged_seeds")))
    notes = (*worker.context.notes, *filter(None, (note, lost, broken, _formats(plan), frames_note(plan.samples))))
    new, seeds = (summary[key] and (summary[key][0], summary[key][1]) for key in ("new_size", "seed_size"))
    made = Made(size=new, seed_size=seeds, bytes=size / images)
    facts = (split, *outlook(recipe, plan, worker.context, made))
    return Forecast(recipe.method_name, plan, seconds / images, size / images, images, notes, facts)


def _without_broken(plan: Plan) -> tuple[Plan, str]:
    """The plan without the seed images that cannot be decoded, as the run will leave them out, and a note where there
    was no time to decode all of them."""
    broken: dict[int, str] = {}
    start, seen = math.inf, 0
    for index in _spread(len(plan.samples)):
        try:
            pixels_of(plan.samples[index])
        except ImageError as error:
            broken[index] = str(error)
        seen += 1
        start = min(start, time.perf_counter())  # after the first one, which loads its decoder's library
        if time.perf_counter() - start > PATIENCE:
            break
    note = "" if seen == len(plan.samples) else f"{seen} of {len(plan.samples)} seed images were decoded in advance"
    if not broken:
        return plan, note
    counts = {name: dict(count) for name, count in plan.counts.items()}
    for index in broken:
        counts[plan.labels[plan.samples[index].label].name]["seeds"] -= 1
    for unit in (unit for shard in plan.shards for unit in shard if unit.index in broken):
        counts[plan.labels[unit.label].name]["new"] -= unit.wanted
    skipped = (*plan.skipped, *((plan.samples[index].id, broken[index]) for index in sorted(broken)))
    shards = tuple(tuple(unit for unit in shard if unit.index not in broken) for shard in plan.shards)
    if note:
        note += f": {len(broken)} of them cannot be used, and are not counted"
    return dataclasses.replace(plan, counts=counts, skipped=skipped, shards=tuple(filter(None, shards))), note


def _spread(count: int) -> Iterator[int]:
    """Every number below `count`, those that are taken first far from one another."""
    step = next((n for n in (7919, 104_729, 1_299_709) if count % n), 1)
    return ((n * step) % count for n in range(count))


def _formats(plan: Plan) -> str:
    """What the first seed images are read as, where they are no ordinary pictures."""
    sources = [sample.source for sample in plan.samples[:LOOKED_AT]]
    paths = [source.path for source in sources if isinstance(source, FileBacked) and source.path]
    named = ", ".join(f"{count} {name}" for name, count in formats_of(paths).items())
    front = f"of the {len(sources)} seed images that were looked at, these are no ordinary pictures"
    return f"{front}: {named}" if named else ""


def _few(plan: Plan, limit: int) -> Iterator[Unit]:
    """The first units that make images, with at most 16 images each."""
    units = (unit for shard in plan.shards for unit in shard if unit.wanted)
    for unit in islice(units, limit):
        yield dataclasses.replace(unit, stop=min(unit.stop, unit.start + 16))


def _size(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
