from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from imaginate.contract import Context, StartsFrom
from imaginate.methods.core.answers import Answer, answer_each
from imaginate.records import Candidate, Request
from imaginate.settings import check


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Repeats each seed image unchanged: the control that adds size, and no information.

    An expanded set that does not beat its own `duplicate` only profits from longer training.
    """

    starts_from: ClassVar[StartsFrom] = "sample"
    needs: ClassVar[tuple[str, ...]] = ()
    paper: ClassVar[str] = "control"

    def __post_init__(self) -> None:
        check(self)

    def expand(self, requests: Sequence[Request], context: Context) -> list[Candidate]:
        """The seed image, (3, h, w) uint8, for every copy."""
        return answer_each(requests, lambda request, seed: Answer(request.image.clone()))
