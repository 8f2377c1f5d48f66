"""What must be apart: training, new, validation and more real images against the held-out ones, and the last two
against the training images. Overlaps are refused; `drop_leak` takes them out, `allow_leak` goes on and says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from imaginate.evaluation.protocol import Protocol
from imaginate.runs import Values
from imaginate.training.leaks import Overlap, checked, measured, overlap
from imaginate.training.pixel_cache import PixelCache

HELD_OUT = "shows a held-out image"
TRAINING = "shows a training image"
INSIDE = "shows a validation image"


@dataclass(frozen=True, kw_only=True)
class CheckedRun:
    """Of a run's new images: which are used, how many were dropped and why, and how many pairs were found."""

    usable: np.ndarray  # (n,) bool
    dropped: dict[str, int]
    found: dict[str, int]


class LeakCheck:
    """The held-out images, and what the protocol says about an overlap with them."""

    def __init__(self, protocol: Protocol, outside: PixelCache, split: str | None = None) -> None:
        self.outside, self.folds = outside, protocol.folds is not None
        self.drop, self.allow = protocol.drop_leak, protocol.allow_leak
        self.tolerated = self.drop or self.allow
        split = protocol.held_out_split or split
        self.where = f"{protocol.held_out_path}, split {split}" if split else protocol.held_out_path
        self.draws_validation = protocol.validation_split == "rest"

    def originals(self, originals: PixelCache) -> tuple[np.ndarray, Values]:
        """The rows of the held-out images that are measured, and the facts for the report. With folds every image is
        held out, and relatives are kept apart where the parts are chosen."""
        if self.folds:
            rows = np.flatnonzero(originals.usable)
            nothing = {"compared": [len(rows), len(rows)], "same": 0, "near": 0, "removed": 0, "examples": []}
            return rows, {**nothing, "allowed": self.allow}
        found = self._held_out("the training images", originals)
        rows = measured(found, self.outside, drop=self.drop)
        return rows, {
            "compared": list(found.compared),
            "same": len(found.same),
            "near": len(found.near),
            "removed": int(self.outside.usable.sum()) - len(rows),
            "examples": [[originals.ids[i], self.outside.ids[j]] for i, j in found.pairs[:5]],
            "allowed": self.allow,
        }

    def run(self, path: str, store: PixelCache, rows: np.ndarray) -> CheckedRun:
        """A run's new images without those that show a held-out image that is measured (`rows`). One that only repeats
        an original which does may stay: that held-out image went."""
        if self.folds:
            return CheckedRun(usable=store.usable, dropped={}, found={"same": 0, "near": 0, "removed": 0})
        found = self._held_out(f"the new images of {path}", store)
        kept = set(rows.tolist())
        bad = sorted({i for i, j in found.pairs if j in kept}) if self.drop else []
        usable = store.usable.copy()
        usable[bad] = False
        counts = {"same": len(found.same), "near": len(found.near), "removed": len(bad)}
        return CheckedRun(usable=usable, dropped={HELD_OUT: len(bad)} if bad else {}, found=counts)

    def validation(
        self, inside: PixelCache | None, originals: PixelCache
    ) -> tuple[PixelCache | None, dict[str, int] | None]:
        """A validation split without held-out images (they would choose the checkpoint, and then measure it) and
        without training images (which the classifier remembers); those that are drawn from the rest lose them."""
        if inside is None:
            return None, None
        tolerated = self.tolerated or self.draws_validation
        held = checked(inside, self.outside, "the validation split's images", self.where, tolerated=tolerated)
        train = checked(
            originals, inside, "the training images", "the validation split", tolerated=tolerated, kind="validation"
        )
        drop = self.drop or self.draws_validation
        bad = {i for i, _ in held.pairs} | {j for _, j in train.pairs} if drop else set()
        counts = {"held_out": len(held.pairs), "train": len(train.pairs), "removed": len(bad)}
        return _without(inside, bad), counts

    def more_real(
        self, more: PixelCache | None, originals: PixelCache, inside: PixelCache | None
    ) -> tuple[PixelCache | None, dict[str, int]]:
        """More real images for real:N: never a held-out, a training or a validation image. Why how many went."""
        dropped: dict[str, int] = {}
        outside = None if self.folds else self.outside
        for reason, other in ((HELD_OUT, outside), (TRAINING, originals), (INSIDE, inside)):
            if more is not None and other is not None:
                bad = {i for i, _ in overlap(more, other).pairs}
                more = _without(more, bad)
                dropped |= {reason: len(bad)} if bad else {}
        return more, dropped

    def _held_out(self, what: str, store: PixelCache) -> Overlap:
        return checked(store, self.outside, what, self.where, tolerated=self.tolerated)


def _without(store: PixelCache, rows: Collection[int]) -> PixelCache:
    return store.only(np.setdiff1d(np.arange(len(store)), list(rows)))
