"""How large new images are, compared with their seeds: what a person should know before the hours go."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Size = tuple[int, int]  # width, height


def typical(sizes: Sequence[Size]) -> Size | None:
    """The size with the middle area; None of none."""
    if not sizes:
        return None
    middle = statistics.median_low([width * height for width, height in sizes])
    return next(size for size in sizes if size[0] * size[1] == middle)


def shrinking(seed: Size | None, new: Size | None, *, by_prior: bool) -> str:
    """One line where new images are smaller than their seeds, and what mends it; empty where they are not."""
    if seed is None or new is None or min(new) >= min(seed):
        return ""
    cause = "the prior draws no larger ones: choose a prior of a larger size" if by_prior else "see --output-size"
    words = f"new images have {in_words(new)} pixels, smaller than their seeds' {in_words(seed)}"
    enlarged = f" (--output-size {min(seed)} enlarges them, and adds no detail)" if by_prior else ""
    return f"{words}; {cause}{enlarged}"


def in_words(size: Size) -> str:
    """`64 x 48`."""
    return f"{size[0]} x {size[1]}"


def size_in_words(count: float) -> str:
    """`1.5 MB`, of bytes."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
