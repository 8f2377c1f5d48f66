"""From requests to candidates, one image at a time: the loop that every pixel-space method shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from imaginate.records import Candidate, Image, Request, Scalar


@dataclass(frozen=True)
class Answer:
    """One new image and what is to be said of it."""

    image: Image
    soft_label: tuple[float, ...] | None = None
    info: Mapping[str, Scalar] = field(default_factory=dict)


def answer_each(requests: Sequence[Request], answer: Callable[[Request, int], Answer]) -> list[Candidate]:
    """One candidate per copy of each request, in order, as `answer(request, seed)` says."""
    return [
        Candidate(key=r.key, label=r.label, copy=copy, seed=seed, image=a.image, soft_label=a.soft_label, info=a.info)
        for r in requests
        for copy, seed in zip(r.copies, r.seeds, strict=True)
        for a in [answer(r, seed)]
    ]
