"""Exact search against a full sort: blocks, order and the other queries change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.pool.scan import rank


def _blocks(ids: list[str], vectors: np.ndarray, size: int):
    for start in range(0, len(ids), size):
        yield ids[start : start + size], vectors[start : start + size]


def _naive(query: np.ndarray, ids: list[str], vectors: np.ndarray, limit: int) -> list[tuple[str, float]]:
    cosines = [round(float(sum(a * b for a, b in zip(v.tolist(), query.tolist(), strict=True))), 6) for v in vectors]
    return [(key, value) for value, key in sorted(zip([-c for c in cosines], ids, strict=True))[:limit]]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 25), st.integers(0, 1000))
def test_blocks_order_and_other_queries_change_nothing(count: int, limit: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = rng.integers(-2, 3, (count, 4)).astype(np.float32) + 0.01  # many rows are equal: ties
    vectors = few / np.linalg.norm(few, axis=1, keepdims=True)
    ids = [f"{k:04d}" for k in rng.permutation(count)]
    queries = rng.normal(size=(3, 4)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    found = rank(queries, limit, _blocks(ids, vectors, size))
    order = rng.permutation(count)
    again = rank(queries, limit, _blocks([ids[i] for i in order], vectors[order], 7))
    alone = [rank(query[None], limit, _blocks(ids, vectors, count))[0] for query in queries]
    assert found == again == alone
    for query, one in zip(queries, found, strict=True):
        wanted = _naive(query, ids, vectors, limit)
        assert one.ids == [key for key, _ in wanted]
        assert one.similarities == pytest.approx([-value for _, value in wanted], abs=1.5e-6)
