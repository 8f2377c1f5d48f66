"""Lists of neighbours: order, widening, and the reason of every refusal, against what a person would do by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colour_guide import ColourGuide
from imaginate.errors import RunError
from imaginate.methods.core.neighbours import Neighbours, Rules, SearchPlan, excluded
from imaginate.methods.core.orders import coverage, mmr
from imaginate.ops.similarity import signature
from worlds import picture

RULES = Rules(cosine=1.01)


class MemoryPool:
    """A pool that lies in memory and counts how often, and how far, it is searched."""

    guide = "colour"

    def __init__(self, vectors: torch.Tensor, **columns: Any) -> None:
        self._vectors = torch.nn.functional.normalize(vectors, dim=1)
        self._columns = columns
        self.limits: list[int] = []

    def check(self, guide: Any) -> None:
        assert guide.name == self.guide

    def search(self, embeddings: torch.Tensor, limit: int) -> list[list[dict[str, Any]]]:
        self.limits.append(limit)
        near = embeddings @ self._vectors.T
        return [[self._row(int(i), float(q[i])) for i in q.argsort(descending=True)[:limit]] for q in near]

    def _row(self, i: int, similarity: float) -> dict[str, Any]:
        more = {name: values[i] for name, values in self._columns.items()}
        return {"id": str(i), "similarity": similarity, "source": f"s/{i}", **more}

    def vectors(self, ids: list[str]) -> torch.Tensor:
        return self._vectors[[int(i) for i in ids]]

    def sample(self, count: int) -> torch.Tensor:
        return self._vectors[:count]

    def closeness(self) -> float:
        return 0.0

    def image(self, row: dict[str, Any]) -> torch.Tensor:
        return torch.zeros(3, 4, 4, dtype=torch.uint8)


def random_pool(count: int, seed: int = 0, **columns: Any) -> MemoryPool:
    return MemoryPool(torch.randn(count, 12, generator=torch.Generator().manual_seed(seed)), **columns)


def listed(
    pool: MemoryPool, plan: SearchPlan, rules: Rules = RULES, label: int = 0, seeds: Any = None, reach: Any = None
) -> Neighbours:
    guide = ColourGuide()
    queries = guide.embed_text(["red", "green", "blue"])
    return Neighbours(pool, guide, label, queries, seeds or (torch.zeros(0, 12), []), rules, plan, reach)


def taken(neighbours: Neighbours) -> list[tuple[str, str]]:
    out = []
    while (found := neighbours.get(len(out))) is not None:
        out.append((str(found.row["id"]), found.refused))
    return out


def test_asks_for_1_4_times_and_widens_ten_times() -> None:
    pool = random_pool(1000)
    neighbours = listed(pool, SearchPlan(wanted=50))
    neighbours.get(0)
    assert pool.limits == [70]
    assert len(taken(neighbours)) == 700
    assert pool.limits == [70 * step for step in range(1, 11)]


@given(st.integers(0, 10_000), st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_an_image_in_several_lists_goes_to_the_nearest_class(seed: int, wanted: int) -> None:
    plan, pool = SearchPlan(wanted=wanted, ask=1.0, widen=2), random_pool(60, seed)
    near = ColourGuide().embed_text(["red", "green", "blue"]) @ pool._vectors.T
    first = [set(row.argsort(descending=True)[:wanted].tolist()) for row in near]
    reach = near.double().sort(dim=1, descending=True).values[:, wanted - 1]
    used = []
    for label in range(3):
        found = taken(listed(pool, plan, label=label, reach=reach))
        rivals = {int(key): [o for o in range(3) if o != label and int(key) in first[o]] for key, _ in found}
        lost = [
            i for i, over in rivals.items()
            if any(i not in first[label] or near[o, i] > near[label, i] for o in over)
        ]  # fmt: skip
        assert [int(key) for key, refused in found if refused == "goes to another class"] == lost
        used.append({int(key) for key, refused in found if not refused})
        assert {refused for _, refused in found} <= {"", "goes to another class"}
    assert all(sum(i in ids for ids in used) <= 1 for i in set.union(*first))


def test_a_small_pool_ends_early_and_a_silent_one_is_an_error() -> None:
    assert len(taken(listed(random_pool(30), SearchPlan(wanted=50)))) == 30

    class Silent(MemoryPool):
        def search(self, embeddings: torch.Tensor, limit: int) -> Any:
            raise RunError("no answer")

    with pytest.raises(RunError, match="no answer"):
        listed(Silent(torch.randn(3, 12)), SearchPlan(wanted=5)).get(0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.sampled_from(["similarity", "mmr", "coverage"]))
def test_neighbour_i_is_the_same_in_whatever_order_it_is_asked(order: list[int], kind: Any) -> None:
    plan = SearchPlan(wanted=8, order=kind)
    whole = taken(listed(random_pool(200), plan))
    asked = listed(random_pool(200), plan)
    for i in order:
        found = asked.get(i)
        assert found is not None
        assert (str(found.row["id"]), found.refused) == whole[i]


def test_every_refusal_has_its_reason_and_the_first_rule_wins() -> None:
    aesthetic = [6.0] * 20
    unsafe: list[Any] = [0.0] * 20
    pool = random_pool(20, aesthetic=aesthetic, unsafe=unsafe)
    order = [int(i) for i, _ in taken(listed(pool, SearchPlan(wanted=20)))]
    aesthetic[order[1]], unsafe[order[2]], aesthetic[order[3]], unsafe[order[4]] = 4.9, 0.6, 1.0, None
    unsafe[order[3]] = 0.9
    rules = replace(RULES, exclude=(f"s/{order[5]}", "nothing*"), similarity=-0.2)
    found = taken(listed(pool, SearchPlan(wanted=20), rules))
    reasons = dict(zip(order, (reason for _, reason in found), strict=True))
    assert [reasons[order[i]] for i in range(6)] == [
        "", "aesthetic score", "unsafe", "aesthetic score", "", "excluded",
    ]  # fmt: skip
    assert reasons[order[-1]] == "too far from the query"
    no_scores = taken(listed(random_pool(20), SearchPlan(wanted=20), replace(RULES, aesthetic=10)))
    assert {reason for _, reason in no_scores} == {""}


def test_duplicates_by_either_detector_and_of_seeds() -> None:
    one, other = (torch.from_numpy(picture(n)).permute(2, 0, 1)[None] for n in (1, 2))
    looks = [signature(one)[0], signature(one)[0], signature(other)[0], signature(other)[0]]
    vectors = torch.eye(12)[:4] + 0.5 * torch.eye(12)[5]
    vectors[2] = vectors[0] + 0.01
    pool = MemoryPool(vectors, signature=looks)
    ids = [int(i) for i, _ in taken(listed(pool, SearchPlan(wanted=4), Rules(cosine=1.01, bits=0, colour=-1.0)))]
    by_look = dict(zip(ids, (r for _, r in taken(listed(pool, SearchPlan(wanted=4)))), strict=True))
    assert sorted(by_look.values()) == ["", "", "near-duplicate", "near-duplicate"]
    assert bool(by_look[0]) != bool(by_look[1])
    blind = [None] * 4
    by_vector = taken(listed(MemoryPool(vectors, signature=blind), SearchPlan(wanted=4), Rules(cosine=0.99)))
    assert sorted(r for _, r in by_vector) == ["", "", "", "near-duplicate"]
    seeds = (torch.nn.functional.normalize(vectors[3:4], dim=1), [signature(one)[0]])
    of_seed = dict(taken(listed(pool, SearchPlan(wanted=4), Rules(cosine=0.999), seeds=seeds)))
    assert {of_seed["0"], of_seed["1"], of_seed["3"]} == {"near-duplicate of a seed"}


def test_contrastive_and_consistent_by_hand() -> None:
    pool, guide = random_pool(60), ColourGuide()
    queries = guide.embed_text(["red", "green", "blue"])
    vectors = pool.vectors([str(i) for i in range(60)])
    mine = (vectors @ queries.T).argmax(1) == 1
    sure = guide.logits(vectors).softmax(1)[:, 1] >= 0.5
    contrastive = taken(listed(pool, SearchPlan(wanted=60), replace(RULES, contrastive=True), label=1))
    assert {int(i) for i, reason in contrastive if not reason} == set(mine.nonzero().flatten().tolist())
    consistent = taken(listed(pool, SearchPlan(wanted=60), replace(RULES, consistency=0.5), label=1))
    assert {int(i) for i, reason in consistent if not reason} == set(sure.nonzero().flatten().tolist())


def test_mmr_is_the_naive_greedy_loop() -> None:
    draw = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(25, 6, generator=draw, dtype=torch.float64), dim=1)
    relevance = torch.rand(25, generator=draw, dtype=torch.float64)
    scale = lambda v, low, high: (v - low) / (high - low)  # noqa: E731
    alike = vectors @ vectors.T
    low, high = alike.min(), alike.max()
    order: list[int] = []
    while len(order) < 25:
        best, value = -1, -1e9
        for i in range(25):
            if i not in order:
                near = max((float(scale(alike[i, j], low, high)) for j in order), default=0.0)
                worth = 0.6 * float(scale(relevance[i], relevance.min(), relevance.max())) - 0.4 * near
                if worth > value:
                    best, value = i, worth
        order.append(best)
    assert mmr(relevance.float(), vectors.float(), 0.6) == order
    assert mmr(relevance, vectors, 1.0) == relevance.argsort(descending=True).tolist()


def test_coverage_takes_every_cluster_in_turn() -> None:
    draw = torch.Generator().manual_seed(0)
    centres = 10 * torch.eye(5)
    near_first = torch.cat([centres[:1].repeat(16, 1), centres[1:].repeat_interleave(4, dim=0)])
    points = near_first + 0.1 * torch.randn(32, 5, generator=draw)
    order = coverage(points, 5)
    assert sorted(order) == list(range(32))
    assert {int(points[i].argmax()) for i in order[:5]} == set(range(5))
    assert order[0] == 0


def test_exclude_knows_ids_hashes_sources_and_urls() -> None:
    row = {"id": "ab", "signature": "f" * 16 + "0" * 96, "source": "laion/7.tar/3.jpg", "url": "https://x.org/a.png"}
    for pattern in ("ab", "f" * 16, "laion/7.tar/*", "https://x.org/*"):
        assert excluded(row, (pattern,))
    assert not excluded(row, ("a", "laion", "https://y.org/*"))
