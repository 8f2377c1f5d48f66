"""Near-duplicates among the images of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from imaginate.contract import Context
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from imaginate.ops.similarity import SignatureIndex


@dataclass(frozen=True, kw_only=True)
class NearDuplicate:
    """Keeps an image that looks like none of those kept before it.

    Two images are alike when their perceptual hashes differ in at most `bits` of 64 bits and their colours by at most
    `colour`, or when the guide's embeddings are closer than `cosine`. The score is the number of differing bits (64
    where none is near). RET drops near-duplicates of retrieved images; a generator that collapses makes them too.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = False
    scope: ClassVar[Literal["candidate", "run"]] = "run"

    bits: int = setting(3, "most bits of the 64-bit perceptual hash in which two alike images differ", ge=0, le=32)
    colour: float = setting(0.06, "largest difference of their colours (root mean square in [0, 1])", ge=0, le=1)
    cosine: float | None = setting(
        None, "also alike from this cosine of the guide's embeddings on", gt=0, le=1, needs="guide"
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def by_signature(self) -> bool:
        """Signatures are enough where no cosine is asked for."""
        return self.cosine is None

    def empty_memory(self) -> SignatureIndex:
        """An index of kept images, with none in it."""
        from imaginate.ops.similarity import SignatureIndex

        return SignatureIndex(self.bits, self.colour)

    def judge_next(self, memory: SignatureIndex, key: str, signature: str) -> Verdict:
        """One image, by its signature alone, against those kept before; it is added where it is kept."""
        near = memory.near(signature)
        if near is not None:
            return Verdict(keep=False, reason="near-duplicate", score=float(near.bits))
        memory.add(key, signature)
        return Verdict(keep=True, score=64.0)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate, in the order given: of two that are alike, the first stays."""
        from imaginate.filters.core.alike import embeddings, signatures

        memory = self.empty_memory()
        images = [c.image for c in candidates]
        rows = embeddings(images, context) if self.cosine is not None else None
        kept: list[int] = []
        verdicts = []
        for i, signed in enumerate(signatures(images)):
            verdict = self.judge_next(memory, str(i), signed)
            if verdict.keep and rows is not None and self._close(rows, i, kept):
                verdict = Verdict(keep=False, reason="near-duplicate", score=verdict.score)
            if verdict.keep:
                kept.append(i)
            verdicts.append(verdict)
        return verdicts

    def _close(self, rows: Any, i: int, kept: list[int]) -> bool:
        return bool(kept) and float((rows[kept] @ rows[i]).max()) >= float(self.cosine or 1)
