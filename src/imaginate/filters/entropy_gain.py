"""Information boosting (GIF sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from imaginate.contract import Context
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class EntropyGain:
    """Keeps an image whose class the guide finds harder to tell than its seed's.

    GIF sec. 3.2 and the second half of eq. 5. The score is H(s') - H(s) in nats. An image without a seed is compared
    with the mean entropy of its class's seed images.
    """

    needs: ClassVar[tuple[str, ...]] = ("guide",)
    needs_seed: ClassVar[bool] = True
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    above: float = setting(0.0, "the gain must be larger than this, in nats")

    def __post_init__(self) -> None:
        check(self)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `no entropy gain` or `nan score`."""
        from imaginate.models.guides.core.score import score

        return [self._verdict(gain) for gain in score(candidates, requests, context).gain.tolist()]

    def _verdict(self, gain: float) -> Verdict:
        if gain != gain:
            return Verdict(keep=False, reason="nan score")
        keep = gain > self.above
        return Verdict(keep=keep, reason="" if keep else "no entropy gain", score=gain)
