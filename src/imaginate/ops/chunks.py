"""Work in micro-batches that fit in memory: halve on out-of-memory, and say so when even one item does not fit."""

from __future__ import annotations

from collections.abc import Callable

import torch

from imaginate.errors import ModelError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that an allocation failed, on any device."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def in_chunks(
    work: Callable[[slice], torch.Tensor], count: int, size: int, *, what: str = "one image"
) -> tuple[torch.Tensor, int]:
    """`work(slice)` over `count` items, at most `size` at a time, concatenated; and the size for the next call.

    Out of memory halves the size and repeats that chunk; ModelError when one item alone does not fit. A call of few
    items leaves the size as it was: the same later call is cut into the same chunks, whatever came before it.
    """
    parts: list[torch.Tensor] = []
    start = 0
    while start < count:
        failed, tried = False, min(size, count - start)
        try:
            parts.append(work(slice(start, start + tried)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            failed = True  # leave the handler first: the traceback holds the tensors that did not fit
        if not failed:
            start += tried
        elif tried == 1:
            raise ModelError(f"out of memory for {what}, even alone: use a smaller model, image size or precision")
        else:
            size = tried // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return torch.cat(parts), size
