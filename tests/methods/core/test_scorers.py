"""What ranks a pool: the head gives each image to its best class, and the best of text, seeds and head is chosen."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from colour_guide import ColourGuide
from imaginate.errors import ConfigError
from imaginate.methods.core.neighbours import Neighbours, Rules, SearchPlan
from imaginate.methods.core.scorers import Scorer, best_scorer, gini, head_scorer
from methods.core.test_neighbours import MemoryPool, taken

NAMES = ("red", "green", "blue")


def _world(per_class: int, spread: float = 0.3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors (n, 12) of three classes that share a large common direction, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    common = 3 * F.one_hot(torch.tensor(0), 12).float()
    centres = common + F.one_hot(torch.tensor([1, 2, 3]), 12).float()
    labels = torch.arange(3).repeat_interleave(per_class)
    vectors = centres[labels] + spread * torch.randn(len(labels), 12, generator=generator)
    return F.normalize(vectors, dim=1), labels


def _seeds(per_class: int, seed: int) -> list[torch.Tensor]:
    vectors, labels = _world(per_class, seed=seed)
    return [vectors[labels == label] for label in range(3)]


def test_the_head_ranks_a_pool_as_its_scores_do_and_no_image_serves_two_classes() -> None:
    vectors, _ = _world(40, seed=1)
    scorer = head_scorer(_seeds(5, seed=2), NAMES)
    assert scorer.head is not None
    scores = scorer.head.logits(vectors)
    assert torch.equal((vectors @ scorer.queries.T).argsort(0)[-10:], scores.argsort(0)[-10:])
    pool, plan = MemoryPool(vectors), SearchPlan(wanted=60)
    used: list[str] = []
    for label in range(3):
        found = Neighbours(
            pool, ColourGuide(), label, scorer.queries, (torch.zeros(0, 12), []), Rules(cosine=1.01), plan, None,
            scorer.head,
        )  # fmt: skip
        for key, refused in taken(found):
            best = int(scores[int(key)].argmax())
            assert refused == ("" if best == label else "goes to another class")
            used += [] if refused else [key]
    assert len(used) == len(set(used)) == len(vectors)


def test_a_list_ends_where_the_head_expects_less_than_the_purity() -> None:
    vectors, _ = _world(200, spread=1.2, seed=3)
    own, of = _world(20, spread=1.2, seed=4)
    scorer = head_scorer([own[of == label] for label in range(3)], NAMES)
    assert scorer.head is not None
    counts = []
    for purity in (0.0, 0.7, 0.9, 1.0):
        found = Neighbours(
            MemoryPool(vectors), ColourGuide(), 0, scorer.queries, (torch.zeros(0, 12), []),
            Rules(cosine=1.01, purity=purity), SearchPlan(wanted=200), None, scorer.head,
        )  # fmt: skip
        rows = [int(key) for key, refused in taken(found) if not refused]
        chances = scorer.head.logits(vectors[rows]).softmax(1)[:, 0] if rows else torch.ones(1)
        assert float(chances.mean()) >= purity
        counts.append(len(rows))
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


def test_a_shared_image_may_serve_several_classes_and_purity_still_holds() -> None:
    vectors, _ = _world(40, spread=1.2, seed=8)
    scorer = head_scorer(_seeds(5, seed=9), NAMES)
    assert scorer.head is not None
    for purity in (0.0, 0.6):
        taken_by = []
        for label in range(3):
            found = Neighbours(
                MemoryPool(vectors), ColourGuide(), label, scorer.queries, (torch.zeros(0, 12), []),
                Rules(cosine=1.01, share=True, purity=purity), SearchPlan(wanted=60), None, scorer.head,
            )  # fmt: skip
            rows = [int(key) for key, refused in taken(found) if not refused]
            assert float(scorer.head.logits(vectors[rows]).softmax(1)[:, label].mean()) >= purity
            taken_by += rows
        assert len(taken_by) == 3 * len(vectors) if not purity else len(taken_by) < 3 * len(vectors)


def test_the_best_of_text_seeds_and_head_is_chosen_by_seeds_that_it_has_not_seen() -> None:
    seeds = _seeds(6, seed=5)
    useless = F.normalize(torch.ones(3, 12), dim=1)
    chosen, right = best_scorer(seeds, NAMES, lambda: useless)
    assert right["text"] == pytest.approx(1 / 3, abs=1e-4)
    assert max(right, key=lambda name: right[name]) != "text"
    assert not torch.equal(chosen.queries, useless)
    truth = F.normalize(torch.eye(12)[[1, 2, 3]], dim=1)
    chosen, right = best_scorer([rows[:1] for rows in seeds], NAMES, lambda: truth)
    assert right["text"] > max(right["seeds"], right["head"])
    assert torch.equal(chosen.queries, truth)


def test_the_accuracy_of_the_centres_leaves_each_seed_out() -> None:
    seeds = _seeds(4, seed=6)
    _, right = best_scorer(seeds, NAMES, None)
    hits = []
    for label, rows in enumerate(seeds):
        for i in range(len(rows)):
            centres = [F.normalize(other.mean(0), dim=0) for other in seeds]
            centres[label] = F.normalize(torch.cat([rows[:i], rows[i + 1 :]]).mean(0), dim=0)
            hits.append(int((torch.stack(centres) @ rows[i]).argmax()) == label)
    assert right["seeds"] == pytest.approx(sum(hits) / len(hits), abs=1e-4)


def test_a_class_without_a_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="'blue' has no seed image"):
        head_scorer([*_seeds(2, seed=7)[:2], torch.zeros(0, 12)], NAMES)


def test_gini_is_the_share_of_pairs_in_order_less_those_out_of_order() -> None:
    generator = torch.Generator().manual_seed(0)
    low, high = torch.randint(0, 9, (40,), generator=generator), torch.randint(3, 12, (50,), generator=generator)
    pairs = [float(h > s) - float(h < s) for s in low.tolist() for h in high.tolist()]
    assert gini(low.float(), high.float()) == pytest.approx(sum(pairs) / len(pairs))
    assert gini(high.float(), low.float()) == 0.0


def _foreign(count: int, seed: int) -> torch.Tensor:
    """Unit vectors (n, 12) of other things than the classes, a little nearer to the first."""
    generator = torch.Generator().manual_seed(seed)
    centre = (
        F.one_hot(torch.tensor(0), 12) * 3 + F.one_hot(torch.tensor(7), 12) * 2 + 0.4 * F.one_hot(torch.tensor(1), 12)
    )
    return F.normalize(centre + 0.3 * torch.randn(count, 12, generator=generator), dim=1)


def _listed(scorer: Scorer, pool: torch.Tensor, wanted: int, label: int = 0) -> list[tuple[str, str]]:
    found = Neighbours(
        MemoryPool(pool), ColourGuide(), label, scorer.queries, (torch.zeros(0, 12), []), Rules(cosine=1.01),
        SearchPlan(wanted=wanted), None, scorer.head,
    )  # fmt: skip
    return taken(found)


def test_a_head_that_saw_the_pool_files_nothing_strange_under_a_class() -> None:
    own, _ = _world(20, seed=12)
    strange = _foreign(400, seed=13)
    pool = torch.cat([own, strange])
    wrong = {}
    for others in (None, strange[:100]):
        found = _listed(head_scorer(_seeds(5, seed=11), NAMES, others), pool, 100)
        wrong[others is None] = sum(int(key) >= len(own) for key, refused in found if not refused)
        kept = sum(int(key) < len(own) for key, refused in found if not refused)
        assert kept >= 18  # of the twenty of the class
        assert others is None or {refused for _, refused in found} == {"", "goes to another class", "of no class"}
    assert wrong[True] > 50
    assert wrong[False] <= 2


def test_a_pool_of_nothing_but_the_classes_loses_nothing_to_a_head_that_saw_it() -> None:
    pool, _ = _world(60, seed=14)
    plain = head_scorer(_seeds(20, seed=15), NAMES)
    saw = head_scorer(_seeds(20, seed=15), NAMES, pool[::3])
    lists = [{key for key, refused in _listed(scorer, pool, 100) if not refused} for scorer in (plain, saw)]
    assert len(lists[0] & lists[1]) > 0.9 * len(lists[0])


def test_a_list_by_a_head_begins_with_the_surest() -> None:
    vectors, _ = _world(60, spread=0.8, seed=16)
    scorer = head_scorer(_seeds(5, seed=17), NAMES)
    assert scorer.head is not None
    rows = [int(key) for key, refused in _listed(scorer, vectors, 20) if not refused]
    sure = scorer.head.logits(vectors[rows]).softmax(1)[:, 0]
    assert torch.equal(sure, sure.sort(descending=True).values)
    cosine = vectors[rows] @ scorer.queries[0]
    assert not torch.equal(cosine, cosine.sort(descending=True).values)
