"""What a metric receives, and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

from imaginate.evaluation.metrics.core.features import Extractor, Features
from imaginate.runs import Facts, Values

if TYPE_CHECKING:
    from torch import Tensor

Need: TypeAlias = Literal["new images", "held-out images", "two classes"]
Row: TypeAlias = Values  # of the table, as metrics.json has it


@dataclass(frozen=True, kw_only=True)
class Sets:
    """The three sets that are compared; `originals` may be empty. Held-out labels are -1 for classes the run lacks."""

    originals: Features
    new: Features
    held_out: Features


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The sets as features of one extractor, the number of classes, and how many images a distance needs on each side:
    distances are measured together or not at all, so that the table has no holes."""

    sets: Sets
    extractor: Extractor
    classes: int
    least: int = 0

    def has(self, need: Need) -> bool:
        """Whether there is what a metric needs."""
        if need == "two classes":
            return self.classes > 1
        return len(self.sets.new if need == "new images" else self.sets.held_out) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of a metric: what it is, where it can be, and which end is better."""

    name: str
    title: str
    range: str
    better: Literal["lower", "higher"]

    def row(self, value: float | None, originals: float | None = None, note: str = "") -> Row:
        """The number for the new images and for the originals; what is infinite is null, and said."""
        finite = [None if v is not None and not math.isfinite(v) else v for v in (value, originals)]
        if finite != [value, originals]:
            note = "; ".join(filter(None, [note, "infinite where every held-out image is itself in the set"]))
        shown = {"name": self.name, "title": self.title, "value": finite[0], "originals": finite[1]}
        return {**shown, "range": self.range, "better": self.better, "note": note}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """`rows` of the table; `section`: what metrics.json has under the metric's own name; warnings."""

    rows: Sequence[Row] = ()
    section: Facts | None = None
    warnings: Sequence[str] = ()


class Metric(Protocol):
    """One way to judge the images of a run: a frozen dataclass in `evaluation/metrics/<name>.py`, whose fields are made
    by `settings.setting` and are flags of `imaginate evaluate`.

    needs: what must be there, else it is left out, which is said. order: its place in the table, lower first.
    """

    needs: ClassVar[tuple[Need, ...]]
    order: ClassVar[int]

    @property
    def least(self) -> int:
        """Images that it needs on each side; 0 for a metric that is no distance between two sets."""
        ...

    def measure(self, images: Measured) -> Findings:
        """Plain named numbers."""
        ...


def distances(
    images: Measured,
    numbers: Sequence[Number],
    notes: Sequence[str],
    between: Callable[[Tensor, Tensor], Sequence[float]],
) -> Findings:
    """Numbers of a distance `between` two sets of vectors: of the new images, and of the originals, to the held-out
    ones; null where a side has too few images."""

    def values(side: Features) -> Sequence[float | None]:
        enough = min(len(side), len(images.sets.held_out)) >= images.least
        return between(images.sets.held_out.vectors, side.vectors) if enough else [None] * len(numbers)

    sides = values(images.sets.new), values(images.sets.originals)
    rows = [n.row(new, old, note) for n, new, old, note in zip(numbers, *sides, notes, strict=True)]
    return Findings(rows=rows)


def counted(images: Measured) -> str:
    """A note for a number that depends on how many images there are, where the two sides have different numbers."""
    return "depends on the number of images" if len(images.sets.new) != len(images.sets.originals) else ""
