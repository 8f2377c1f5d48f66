"""From requests to candidates, one image at a time: the loop that every pixel-space method shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imaginate.records import Candidate, Request


def answer_each(requests: Sequence[Request], make: Callable[[Request, int], dict[str, Any]]) -> list[Candidate]:
    """One candidate per copy of each request, in order; `make(request, seed)` gives its image and other fields."""
    return [
        Candidate(key=r.key, label=r.label, copy=copy, seed=seed, **make(r, seed))
        for r in requests
        for copy, seed in zip(r.copies, r.seeds, strict=True)
    ]
