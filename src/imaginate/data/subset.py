"""Small-data settings from any dataset: so many images a class, or a share of each class.

Samples are ranked by a hash of their id, so that neither the order of the source nor its size elsewhere changes
what is picked, and the smaller choice is always part of the larger.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from imaginate.errors import ImageError
from imaginate.records import Sample, Skipped

Item = TypeVar("Item")

Usable = Callable[[Sample], object]


def rank(seed: int, sample_id: str) -> bytes:
    """The place of a sample in its class's queue."""
    return hashlib.blake2b(f"{seed}/{sample_id}".encode(), digest_size=16).digest()


def take_fraction(samples: Sequence[Sample], fraction: float, seed: int = 0) -> list[Sample]:
    """The same share of each class, rounded, and at least one image; in the order of the source."""
    kept: set[str] = set()
    for queue in _queues(samples, seed).values():
        count = max(1, int(len(queue) * fraction + 0.5))
        kept.update(sample.id for sample in queue[:count])
    return [sample for sample in samples if sample.id in kept]


def take_shots(
    samples: Sequence[Sample], shots: int, seed: int = 0, usable: Usable | None = None
) -> tuple[list[Sample], list[Skipped]]:
    """`shots` images of each class (all, where it has fewer), in the order of the source. `usable` reads a sample
    and raises ImageError: the next in the queue then takes its place."""
    kept: set[str] = set()
    broken: list[Skipped] = []
    for queue in _queues(samples, seed).values():
        count = 0
        for sample in queue:
            if count == shots:
                break
            try:
                if usable is not None:
                    usable(sample)
            except ImageError as error:
                broken.append(Skipped(sample.id, str(error), sample.split))
            else:
                kept.add(sample.id)
                count += 1
    return [sample for sample in samples if sample.id in kept], broken


def take_imbalanced(samples: Sequence[Sample], imbalance: float, seed: int = 0) -> list[Sample]:
    """A long tail: the first class keeps as many images as the largest has, the last `imbalance` times fewer, those
    between fall exponentially (Cao et al. 2019, which GIF's CIFAR100-LT follows); at least one image, and no more than
    there are. In the order of the source."""
    queues = _queues(samples, seed)
    most, last = max(map(len, queues.values()), default=0), max(1, len(queues) - 1)
    kept: set[str] = set()
    for place, label in enumerate(sorted(queues)):
        count = int(most * imbalance ** (-place / last) + 1e-9)
        kept.update(sample.id for sample in queues[label][: max(1, count)])
    return [sample for sample in samples if sample.id in kept]


def _queues(samples: Sequence[Sample], seed: int) -> dict[int, list[Sample]]:
    queues: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        queues[sample.label].append(sample)
    for queue in queues.values():
        queue.sort(key=lambda sample: rank(seed, sample.id))
    return queues


def evenly_spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most `limit` of the items, evenly spread over the list."""
    if limit is None or len(items) <= limit:
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]
