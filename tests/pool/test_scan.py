"""Exact search against a full sort: blocks, order and the other queries change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.pool.scan import Ranked, rank


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


def test_facts_are_the_same_from_disk_and_from_memory(tmp_path: Path) -> None:
    from imaginate.pool.facts import Facts
    from imaginate.pool.rows import PLAIN, Header
    from imaginate.pool.table import PoolTable

    table = PoolTable.create(str(tmp_path / "pool"), Header(guide="g", dim=2, probe=""))
    rows = [{"id": f"{i:02d}", "vector": [1.0, 0.0], "caption": f"c{i}", "aesthetic": i / 7} for i in range(20)]
    rows[3]["caption"] = None
    table.append_rows(rows)
    asked = [Ranked(["03", "07", "11"], [0.5, 0.4, 0.3]), Ranked([], []), Ranked(["07", "19", "00"], [0.9, 0.1, 0.0])]
    facts, fetched = Facts(table), []
    table.fetch = lambda ids, columns: fetched.append(list(ids)) or PoolTable.fetch(table, ids, columns)
    first = facts.of(asked)
    assert fetched == [["00", "03", "07", "11", "19"]]  # each row once
    assert [[row["id"] for row in rows] for rows in first] == [one.ids for one in asked]
    assert set(first[0][0]) == {*PLAIN, "similarity"}
    assert (first[0][0]["caption"], first[0][1]["similarity"], first[2][1]["caption"]) == (None, 0.4, "c19")
    assert facts.of(asked) == first
    assert len(fetched) == 1  # a quarter of the pool was read, so that all of it is in memory now
