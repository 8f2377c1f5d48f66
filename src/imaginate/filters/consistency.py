"""Class consistency (GIF sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from imaginate.contract import Context
from imaginate.records import Candidate, Request, Verdict
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Keeps an image for which the guide predicts the same class as for its seed.

    GIF sec. 3.2 (the class-maintained half). The score is s'_j of eq. 5: the guide's probability of that class.
    An image without a seed (prompts, retrieval) must be predicted as its own label. The class that was predicted goes
    into the metadata, as `info_predicted`.
    """

    needs: ClassVar[tuple[str, ...]] = ("guide",)
    needs_seed: ClassVar[bool] = True
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    anchor: Literal["seed", "label"] = setting(
        "seed", "seed = the class predicted for the seed, right or wrong; label = the true one", source="GIF eq. 5, B.5"
    )
    at_least: float = setting(0.0, "smallest probability of that class", ge=0, le=1)

    def __post_init__(self) -> None:
        check(self)

    def judge(self, candidates: Sequence[Candidate], requests: Sequence[Request], context: Context) -> list[Verdict]:
        """One verdict a candidate; `class changed`, `class unsure` or `nan score`."""
        from imaginate.models.guides.core.score import score

        scored = score(candidates, requests, context, anchor=self.anchor)
        rows = zip(scored.kept.tolist(), scored.predicted.tolist(), scored.anchors.tolist(), strict=True)
        return [
            replace(self._verdict(kept, predicted == wanted), info={"predicted": context.labels[predicted].name})
            for kept, predicted, wanted in rows
        ]

    def _verdict(self, kept: float, same: bool) -> Verdict:
        if kept != kept:
            return Verdict(keep=False, reason="nan score")
        if not same:
            return Verdict(keep=False, reason="class changed", score=kept)
        return Verdict(keep=True, score=kept) if kept >= self.at_least else _unsure(kept)


def _unsure(kept: float) -> Verdict:
    return Verdict(keep=False, reason="class unsure", score=kept)
