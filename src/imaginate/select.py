"""Choose among judged candidates: how many more to ask for, and which of them to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from imaginate.records import Candidate, Verdict
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How copies are chosen among candidates, and how counts are shared between classes."""

    policy: Literal["first", "informative"] = setting("first", "how copies are chosen among the judged candidates")
    tries: int = setting(4, "at most this many candidates for each wanted copy", ge=1)
    balance: bool = setting(False, "more copies for rarer classes, up to an even count")
    __post_init__ = check


def required_filters(selection: Selection) -> list[tuple[str, dict[str, Any]]]:
    """The filters that a policy rests on."""
    return [("consistency", {}), ("entropy-gain", {})] if selection.policy == "informative" else []


def allocate(sizes: Sequence[int], copies: int, balance: bool) -> list[int]:
    """New images per class, from the number of seeds per class: `copies` of each seed, or up to an even count."""
    if not balance:
        return [copies * size for size in sizes]
    even = max(sizes, default=0) * (1 + copies)
    return [even - size if size else 0 for size in sizes]


def wants_more(selection: Selection, *, wanted: int, made: int, kept: int) -> int:
    """How many further candidates to ask of the method for one unit, of which `kept` of `made` were kept; 0 = enough."""
    if kept >= wanted:
        return 0
    return max(0, min(wanted - kept, wanted * selection.tries - made))


def choose(selection: Selection, judged: Sequence[tuple[Candidate, Verdict]], *, wanted: int) -> list[int]:
    """Positions of the chosen candidates, at most `wanted`, in order."""
    return [i for i, (_, verdict) in enumerate(judged) if verdict.keep][:wanted]
