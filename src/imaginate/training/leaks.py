"""Held-out images among the training images: by content (equal pixels), and by hash (perceptual, with a thumbnail,
mirror images too). The borders are those at which altered copies are found and different pictures are not, weighed by
`benchmarks/leak_control.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imaginate.data.image_hashes import ImageHashes, matching
from imaginate.data.relatives import ALIKE, WITHIN_BITS
from imaginate.errors import DataError
from imaginate.training.pixel_cache import PixelCache

ADVICE = "--drop-leak leaves them out, --allow-leak goes on and marks the report"


@dataclass
class Overlap:
    """Pairs (row of the training images, row of the held-out ones) that are the same picture."""

    compared: tuple[int, int]
    same: list[tuple[int, int]] = field(default_factory=list)
    near: list[tuple[int, int]] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs, those with equal pixels first."""
        return self.same + self.near

    def describe(self, train: PixelCache, held: PixelCache, what: str, held_name: str, kind: str) -> str:
        """One line for the person whose numbers would have been wrong."""
        i, j = self.pairs[0]
        count = len({b for _, b in self.pairs})
        return (
            f"{count} of {self.compared[1]} {kind} images ({held_name}) are also among {what} "
            f"({len(self.same)} equal, {len(self.near)} near-equal pairs), such as {train.ids[i]} = {held.ids[j]}; "
            f"{ADVICE}"
        )


def checked(
    train: PixelCache, held: PixelCache, what: str, where: str, *, tolerated: bool, kind: str = "held-out"
) -> Overlap:
    """The overlap; DataError that names one pair, unless it is tolerated. `what` the training side is, `where` and of
    which `kind` the other one."""
    found = overlap(train, held)
    if found.pairs and not tolerated:
        raise DataError(found.describe(train, held, what, where, kind))
    return found


def measured(found: Overlap, held: PixelCache, *, drop: bool) -> np.ndarray:
    """The held-out rows that are measured: all that can be read, or those of them that overlap nothing."""
    rows = np.flatnonzero(held.usable)
    return np.setdiff1d(rows, [j for _, j in found.pairs]) if drop else rows


def check_leak(
    store: PixelCache, used: np.ndarray, held: PixelCache, where: str, *, allow: bool, drop: bool
) -> tuple[np.ndarray, dict[str, int | bool]]:
    """The held-out rows to measure on, and what was found: DataError where a held-out image is among the `used` rows,
    unless that is allowed, or such images are dropped from the measurement."""
    found = checked(store.only(used), held, "the training images", where, tolerated=allow or drop)
    rows = measured(found, held, drop=drop)
    if not len(rows):
        raise DataError(f"no held-out image ({where}) is left to measure on")
    removed = int(held.usable.sum() - len(rows))
    return rows, {"same": len(found.same), "near": len(found.near), "removed": removed, "allowed": allow}


def overlap(train: PixelCache, held: PixelCache) -> Overlap:
    """Every pair of the two stores that is the same picture, or its mirror image."""
    places: dict[int, list[int]] = {}
    for j in np.flatnonzero(held.usable):
        places.setdefault(int(held.content[j]), []).append(int(j))
    same = [(int(i), j) for i in np.flatnonzero(train.usable) for j in places.get(int(train.content[i]), ())]
    rows, others = np.flatnonzero(train.usable), np.flatnonzero(held.usable)
    own = _part(train.hashes, rows)
    near: dict[tuple[int, int], None] = {}
    for hashes in (held.hashes, held.mirrored):
        for a, b in matching(own, _part(hashes, others), within=WITHIN_BITS, alike=ALIKE):
            near[int(rows[a]), int(others[b])] = None
    known = set(same)
    return Overlap(compared=(len(rows), len(others)), same=same, near=[pair for pair in near if pair not in known])


def _part(hashes: ImageHashes, rows: np.ndarray) -> ImageHashes:
    return ImageHashes(hashes.bits[rows], hashes.thumbs[rows])
