"""Images that bring nothing new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from imaginate.contract import Context
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class SeedDuplicate:
    """Keeps an image that is not just its own seed again.

    Alike as in near-duplicate, with tighter limits: an augmentation may resemble its seed, a copy must not. GIF
    sec. 4 gives the reason: repeating data covers nothing new. The score is the number of differing hash bits.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = True
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    bits: int = setting(1, "most bits of the 64-bit perceptual hash in which it differs from its seed", ge=0, le=32)
    colour: float = setting(0.02, "largest difference of their colours (root mean square in [0, 1])", ge=0, le=1)
    cosine: float | None = setting(
        None, "also alike from this cosine of the guide's embeddings on", gt=0, le=1, needs="guide"
    )

    def __post_init__(self) -> None:
        check(self)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; candidates without a seed image are kept."""
        from imaginate.filters.core.alike import embeddings, signatures
        from imaginate.ops.similarity import colour_distance, hamming

        seeded = [i for i, r in enumerate(requests) if r.image is not None]
        verdicts = [Verdict(keep=True) for _ in candidates]
        signed_images = signatures([candidates[i].image for i in seeded])
        of_seed = {id(requests[i].image): requests[i].image for i in seeded}
        known = dict(zip(of_seed, signatures(list(of_seed.values())), strict=True))
        for i, signed in zip(seeded, signed_images, strict=True):
            seed = known[id(requests[i].image)]
            bits = hamming(signed[:16], seed[:16])
            same = bits <= self.bits and colour_distance(signed, seed) <= self.colour
            verdicts[i] = Verdict(keep=not same, reason="same as its seed" if same else "", score=float(bits))
        if self.cosine is not None and seeded:
            rows = embeddings([c.image for c in candidates] + [requests[i].image for i in seeded], context)
            for place, i in enumerate(seeded):
                if float(rows[i] @ rows[len(candidates) + place]) >= self.cosine:
                    verdicts[i] = Verdict(keep=False, reason="same as its seed", score=verdicts[i].score)
        return verdicts
