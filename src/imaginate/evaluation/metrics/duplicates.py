"""New images that repeat another new image, or an original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need
from imaginate.evaluation.metrics.core.pairs import ByCosine, Pair, Prints, examples, find_pairs, prints_of, redundant
from imaginate.settings import setting


@dataclass(frozen=True, kw_only=True)
class Duplicates(ByCosine):
    """Counts the new images that repeat another new one, and those that look like an original."""

    needs: ClassVar[tuple[Need, ...]] = ()
    order: ClassVar[int] = 90
    least: ClassVar[int] = 0

    twin_hamming: int = setting(3, "and in a duplicate inside the run", ge=0, le=64)
    twin_colour: float = setting(0.06, "largest colour difference of a duplicate (root mean square)", ge=0, le=1)

    def measure(self, images: Measured) -> Findings:
        """Pairs, images that could go, images that look like an original, and examples."""
        sets = images.sets
        new = prints_of(sets.new)
        pairs = self._pairs(new) if len(new) else []
        copies = self._pairs(new, prints_of(sets.originals)) if len(new) and len(sets.originals) else []
        gone = redundant(pairs)
        section = {
            "pairs": len(pairs),
            "redundant": len(gone),
            "share": len(gone) / len(new) if len(new) else 0.0,
            "copies": len({p.first for p in copies}),
            "cosine": self.cosine,
            "hamming": self.twin_hamming,
            "colour": self.twin_colour,
            "examples": examples(pairs),
        }
        return Findings(section=section)

    def _pairs(self, new: Prints, others: Prints | None = None) -> list[Pair]:
        return find_pairs(new, others, cosine=self.cosine, hamming=self.twin_hamming, colour=self.twin_colour)
