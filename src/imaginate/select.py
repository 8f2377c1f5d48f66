"""Selective expansion (GIF sec. 3.2): make more than is wanted, judge all, keep the best of them.

Sample-wise, every seed gets the same number of copies; sample-agnostic (GIF B.1), the best candidates of a class or of
the whole dataset are taken, from any seed: easy seeds then crowd out hard ones.
Pure functions over judged candidates and rows; the engine calls them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from imaginate.errors import ConfigError
from imaginate.records import Candidate, Verdict
from imaginate.settings import check, nearest, setting


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How copies are chosen among candidates, and how counts are shared between classes."""

    policy: Literal["first", "informative", "best"] = setting(
        "first",
        "first = the first kept by the filters; informative = the first that keep the seed's predicted class with "
        "higher entropy; best = those with the highest score among all tried",
        source="GIF sec. 3.2",
        flag="select",
    )
    scope: Literal["sample", "class", "dataset"] = setting(
        "sample",
        "sample = the same number for every seed; class, dataset = sample-agnostic, the best of them, from any seed",
        source="GIF B.1",
        flag="select-scope",
    )
    by: str = setting("entropy_gain", "score that best and sample-agnostic selection sort by", flag="select-by")
    tries: int = setting(4, "at most this many candidates for each wanted copy", ge=1)
    balance: bool = setting(False, "more copies for rarer classes, up to an even count")
    balance_to: int | None = setting(
        None,
        "bring every class up to this many images, seeds included, by at most `copies` new ones of a seed; a class "
        "that has as many gets none",
        ge=1,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.balance and self.balance_to is not None:
            raise ConfigError(
                "balance brings all classes to one even count, balance-to to a count of yours: choose one"
            )

    @property
    def ranked(self) -> bool:
        """Whether the whole budget of candidates is made first, and then sorted by score."""
        return self.policy == "best" or self.scope != "sample"


def required_filters(selection: Selection) -> list[tuple[str, dict[str, Any]]]:
    """The filters that a policy rests on."""
    if selection.policy == "informative" or (selection.ranked and selection.by == "entropy_gain"):
        return [("consistency", {}), ("entropy-gain", {})]
    return [("consistency", {})] if selection.ranked and selection.by == "consistency" else []


def allocate(sizes: Sequence[int], copies: int, selection: Selection) -> list[int]:
    """New images per class, from the number of seeds per class: `copies` of each seed, or up to an even count.

    Balanced, originals and copies of every class add up to what the largest class has after expansion; with
    `balance_to`, to that number, as far as `copies` of each seed reach.
    """
    if selection.balance_to is not None:
        return [min(copies * size, max(0, selection.balance_to - size)) for size in sizes]
    if not selection.balance:
        return [copies * size for size in sizes]
    even = max(sizes, default=0) * (1 + copies)
    return [even - size if size else 0 for size in sizes]


def wants_more(selection: Selection, *, wanted: int, tried: int, kept: int) -> int:
    """How many further candidates to ask of the method for one unit, of which `kept` of `tried` were kept; 0 = enough.

    In rounds of at most `wanted`, so that as many copies are made together as without selection.
    """
    budget = wanted * selection.tries - tried
    missing = wanted if selection.ranked else wanted - kept
    return max(0, min(missing, budget))


def choose(selection: Selection, judged: Sequence[tuple[Candidate, Verdict]], *, wanted: int) -> list[int]:
    """Positions of the chosen candidates of one unit, in order; at most `wanted`, except sample-agnostic, where all
    that the filters kept go on to `choose_agnostic`."""
    kept = [i for i, (_, verdict) in enumerate(judged) if verdict.keep]
    if selection.scope != "sample":
        return kept
    if selection.policy != "best":
        return kept[:wanted]
    scores = {i: _score(judged[i][0].scores, selection.by) for i in kept}
    return sorted(sorted(kept, key=lambda i: (-scores[i], i))[:wanted])


def choose_agnostic(selection: Selection, rows: Sequence[Mapping[str, Any]], totals: Mapping[int, int]) -> list[int]:
    """Positions of the rows to keep, sample-agnostic (GIF B.1). Each row: `label`, `seed_image`, `copy`, `score_<by>`.

    `totals`: wanted new images per class; with scope "dataset" only their sum counts. Ties go to the earlier row.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        groups[row["label"] if selection.scope == "class" else -1].append(position)
    chosen: list[int] = []
    for group, members in groups.items():
        total = totals.get(group, 0) if selection.scope == "class" else sum(totals.values())
        scores = {i: _score_of_row(rows[i], selection.by) for i in members}
        chosen += sorted(members, key=lambda i: (-scores[i], i))[:total]
    return sorted(chosen)


def _score_of_row(row: Mapping[str, Any], by: str) -> float:
    scores = {k.removeprefix("score_"): v for k, v in row.items() if k.startswith("score_") and v is not None}
    return _score(scores, by)


def _score(scores: Mapping[str, float], by: str) -> float:
    if by not in scores:
        raise ConfigError(f"candidates carry no score {by!r} to select by{nearest(by, scores)}")
    value = float(scores[by])
    return value if value == value else float("-inf")
