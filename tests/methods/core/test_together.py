"""The first lists of all classes come from one search."""

from __future__ import annotations

from typing import Any

import torch

from imaginate.methods.core.together import Together

QUERIES = torch.nn.functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), dim=1)


class Counted:
    """Rows named after the query, and a note of each search."""

    guide = "g"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def search(self, embeddings: torch.Tensor, limit: int) -> list[list[dict[str, Any]]]:
        self.asked.append((len(embeddings), limit))
        return [[{"id": f"{q[0]:.4f}-{i}", "similarity": 1 - i / 10} for i in range(min(limit, 3))] for q in embeddings]


def test_one_search_for_all_classes_and_one_for_each_longer_list() -> None:
    pool = Counted()
    together = Together(pool, QUERIES)  # type: ignore[arg-type]
    together.announce(2)
    found = [together.search(QUERIES[i : i + 1], 2)[0] for i in (3, 0, 3)]
    assert found == [pool.search(QUERIES[i : i + 1], 2)[0] for i in (3, 0, 3)]
    assert together.least(2) == [0.9] * 5
    assert pool.asked == [(5, 2), (1, 2), (1, 2), (1, 2)]  # the last three are this test's own
    found[0][0]["signature"] = "x"
    assert "signature" not in together.search(QUERIES[3:4], 2)[0][0]
    together.search(QUERIES[1:2], 4)
    together.search(torch.eye(4)[:1], 2)
    assert pool.asked[4:] == [(1, 4), (1, 2)]


def test_many_classes_with_long_lists_are_searched_in_parts(monkeypatch: Any) -> None:
    monkeypatch.setattr("imaginate.methods.core.together.HELD_ROWS", 7)
    pool = Counted()
    together = Together(pool, QUERIES)  # type: ignore[arg-type]
    together.announce(4)
    assert together.least(4) == [-1.0] * 5  # shorter than asked
    assert pool.asked == [(1, 4)] * 5


def test_embeddings_of_a_list_are_read_once_for_its_order_and_its_parts() -> None:
    asked: list[list[str]] = []

    class WithVectors(Counted):
        def vectors(self, ids: list[str]) -> torch.Tensor:
            asked.append(list(ids))
            return torch.tensor([[float(key)] for key in ids])

    together = Together(WithVectors(), QUERIES)  # type: ignore[arg-type]
    for ids in (["1", "2", "3"], ["3", "1"], ["2"], ["2", "4"], ["4"]):
        found = together.vectors(ids)
        assert found is not None
        assert found.flatten().tolist() == [float(key) for key in ids]
    assert asked == [["1", "2", "3"], ["2", "4"]]
