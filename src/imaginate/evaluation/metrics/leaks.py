"""New images that show a held-out image: measured on them, a classifier would have seen the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.evaluation.metrics.core.measurement import Findings, Measured, Need
from imaginate.evaluation.metrics.core.pairs import HAMMING, ByCosine, examples, find_pairs, prints_of, share_involved
from imaginate.settings import setting


@dataclass(frozen=True, kw_only=True)
class Leaks(ByCosine):
    """Counts the new images that look like a held-out one, by perceptual hash or embedding."""

    needs: ClassVar[tuple[Need, ...]] = ("held-out images",)
    order: ClassVar[int] = 80
    least: ClassVar[int] = 0

    hamming: int = setting(HAMMING, "up to so many of 64 hash bits may differ in a leaked image", ge=0, le=64)

    def measure(self, images: Measured) -> Findings:
        """Pairs, images and examples; the leaks of the originals, too."""
        sets = images.sets
        held = prints_of(sets.held_out)
        pairs, own = (
            find_pairs(prints_of(found), held, cosine=self.cosine, hamming=self.hamming) if len(found) else []
            for found in (sets.new, sets.originals)
        )
        section = {
            "pairs": len(pairs),
            "images": len({p.first for p in pairs}),
            "share": share_involved(pairs, len(sets.new)),
            "originals": len({p.first for p in own}) if len(sets.originals) else None,
            "cosine": self.cosine,
            "hamming": self.hamming,
            "examples": examples(pairs),
        }
        return Findings(section=section)
