"""Micro-batches: how many items fit is learnt from running out of memory, and from nothing else."""

from __future__ import annotations

import torch

from imaginate.ops.chunks import in_chunks


def rows(part: slice) -> torch.Tensor:
    return torch.arange(100)[part]


def test_a_small_call_leaves_the_size_for_the_next_one() -> None:
    """Otherwise a later call would be cut into other micro-batches, and rounded otherwise, than in a fresh process."""
    found, size = in_chunks(rows, 1, 8)
    assert found.tolist() == [0]
    assert size == 8


def test_out_of_memory_halves_what_was_tried() -> None:
    seen: list[int] = []

    def greedy(part: slice) -> torch.Tensor:
        count = len(rows(part))
        seen.append(count)
        if count > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows(part)

    found, size = in_chunks(greedy, 5, 64)
    assert found.tolist() == [0, 1, 2, 3, 4]
    assert size == 2
    assert seen == [5, 2, 2, 1]
