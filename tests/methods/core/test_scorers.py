"""What ranks a pool: the head gives each image to its best class, and the best of text, seeds and head is chosen."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from colour_guide import ColourGuide
from imaginate.errors import ConfigError
from imaginate.methods.core.neighbours import Neighbours, Rules, SearchPlan
from imaginate.methods.core.scorers import best_scorer, head_scorer
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
