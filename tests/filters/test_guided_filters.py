"""Consistency and entropy gain against numbers worked out by hand, for samples and for classes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from imaginate.errors import ModelError
from imaginate.filters.consistency import Consistency
from imaginate.filters.entropy_gain import EntropyGain
from imaginate.models.guides.core.store import EmbeddingStore, content_key


def _p(r: float, g: float, b: float) -> list[float]:
    length = math.sqrt(r * r + g * g + b * b)
    exps = [math.exp(5 * v / length) for v in (r, g, b)]
    return [e / sum(exps) for e in exps]


def _h(p: list[float]) -> float:
    return -sum(v * math.log(v) for v in p)


def test_both_halves_of_selection_by_hand(toy):
    seed = toy.colour(0.9, 0.3, 0.1)
    copies = [(0.9, 0.1, 0.0), (0.7, 0.5, 0.3), (0.3, 0.8, 0.1)]  # surer, less sure, another class
    candidates = [toy.candidate(toy.colour(*c), copy=i) for i, c in enumerate(copies)]
    requests = [toy.request(seed)] * 3
    context = toy.context()
    kept = Consistency().judge(candidates, requests, context)
    gain = EntropyGain().judge(candidates, requests, context)
    assert [(v.keep, v.reason) for v in kept] == [(True, ""), (True, ""), (False, "class changed")]
    assert [(v.keep, v.reason) for v in gain] == [(False, "no entropy gain"), (True, ""), (True, "")]
    assert [v.info["predicted"] for v in kept] == ["red", "red", "green"]
    for verdict, copy in zip(kept, copies, strict=True):
        assert verdict.score == pytest.approx(_p(*copy)[0], abs=1e-5)
    for verdict, copy in zip(gain, copies, strict=True):
        assert verdict.score == pytest.approx(_h(_p(*copy)) - _h(_p(0.9, 0.3, 0.1)), abs=1e-5)
    assert toy.made_guide.seen == 4, "three candidates and one seed, embedded once for both filters"


def test_the_anchor_is_the_prediction_even_where_it_is_wrong(toy):
    seed, copy = toy.colour(0.2, 0.9, 0.1), toy.colour(0.3, 0.8, 0.1)  # labelled red, both read as green
    pair = [toy.candidate(copy)], [toy.request(seed, label=0)], toy.context()
    assert Consistency().judge(*pair)[0].keep
    assert Consistency(anchor="label").judge(*pair)[0].reason == "class changed"
    assert Consistency(at_least=0.99).judge(*pair)[0].reason == "class unsure"


def test_without_a_seed_image_the_label_and_the_class_are_the_measure(toy):
    seeds = [toy.colour(0.9, 0.3, 0.1), toy.colour(0.8, 0.4, 0.3), toy.colour(0.0, 0.9, 0.1)]
    context = toy.context(seeds, [0, 0, 1])
    candidate, request = toy.candidate(toy.colour(0.6, 0.5, 0.4)), toy.request(None)
    assert Consistency().judge([candidate], [request], context)[0].keep
    mean = (_h(_p(0.9, 0.3, 0.1)) + _h(_p(0.8, 0.4, 0.3))) / 2
    verdict = EntropyGain().judge([candidate], [request], context)[0]
    assert verdict.score == pytest.approx(_h(_p(0.6, 0.5, 0.4)) - mean, abs=1e-5)


def test_batch_and_neighbours_do_not_matter(toy):
    seeds = [toy.picture(i, 20 + 4 * (i % 2)) for i in range(6)]
    candidates = [toy.candidate(toy.picture(50 + i, 24), key=f"s{i}") for i in range(6)]
    requests = [toy.request(seed, key=f"s{i}") for i, seed in enumerate(seeds)]
    context = toy.context(seeds, [0] * 6)
    for judge in (Consistency(), EntropyGain()):
        whole = judge.judge(candidates, requests, context)
        alone = [judge.judge([c], [r], context)[0] for c, r in zip(candidates, requests, strict=True)]
        back = judge.judge(candidates[::-1], requests[::-1], context)[::-1]
        assert [v.keep for v in whole] == [v.keep for v in alone] == [v.keep for v in back]
        assert [v.score for v in whole] == pytest.approx([v.score for v in alone], abs=1e-5)


def test_nan_candidates_are_rejected_and_nan_seeds_reported(toy):
    nan = torch.full((3, 20, 20), float("nan"))
    fine = toy.colour(0.9, 0.3, 0.1)
    for judge in (Consistency(), EntropyGain()):
        assert judge.judge([toy.candidate(nan)], [toy.request(fine)], toy.context())[0].reason == "nan score"
        with pytest.raises(ModelError, match="guide colour gives NaN for seed image s0"):
            judge.judge([toy.candidate(fine)], [toy.request(nan)], toy.context())


def test_a_guide_made_of_the_seeds_leaves_the_seed_out(toy):
    asked = []

    class Few(type(toy.made_guide)):
        def logits_without(self, embeddings: torch.Tensor, ids: list[str]) -> torch.Tensor:
            asked.append(list(ids))
            return self.logits(embeddings)

        def seed_embeddings(self, ids: list[str]) -> torch.Tensor:
            return torch.stack([self.embed(seed[None])[0] for _ in ids])

        def is_removable(self, key: str) -> bool:
            return True

    seed = toy.colour(0.9, 0.3, 0.1)
    Consistency().judge(
        [toy.candidate(toy.colour(0.8, 0.1, 0.1), key="s4")], [toy.request(seed, key="s4")], toy.context(guide=Few())
    )
    assert asked == [["s4"], ["s4"]], "for the copy and for the seed"


def test_seeds_are_not_embedded_again_in_a_later_process(toy, tmp_path):
    seeds = [toy.picture(i) for i in range(4)]
    candidates = [toy.candidate(toy.picture(50 + i), key=f"s{i}") for i in range(4)]
    requests = [toy.request(seed, key=f"s{i}") for i, seed in enumerate(seeds)]
    scores, asked = [], []
    for again in (False, True):
        guide = type(toy.made_guide)()
        guide.store = EmbeddingStore(tmp_path, owner="colour")
        found = EntropyGain().judge(
            [replace(c, image=c.image.clone()) for c in candidates], requests, toy.context(seeds, [0] * 4, guide=guide)
        )
        guide.store.save()
        scores.append([v.score for v in found])
        asked.append(guide.seen)
        if again:
            assert asked == [8, 4], "candidates alone the second time"
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_a_seed_with_many_copies_is_hashed_and_embedded_once(toy, tmp_path, monkeypatch):
    from imaginate.models.guides.core import cache

    hashed = []
    monkeypatch.setattr(cache, "content_key", lambda image: hashed.append(image) or content_key(image))
    seeds = [toy.picture(0), toy.picture(1)]
    made = [toy.picture(50 + i) for i in range(6)]
    guide = type(toy.made_guide)()
    guide.store = EmbeddingStore(tmp_path, owner="colour")
    rows = cache.embed_with_seeds(guide, made, [seeds[i % 2] for i in range(6)])
    assert (len(hashed), guide.seen) == (2, 8), "two seeds, six made images"
    alone = cache.embed_once(guide, [*made, *seeds])
    assert torch.allclose(rows, alone[[*range(6), *[6, 7] * 3]], atol=1e-6)


def test_a_class_whose_seeds_an_earlier_process_embedded_is_judged_without_any_new_image_of_it(toy, tmp_path):
    """What a run of a method without seeds does that goes on: the seeds alone, and all of them known."""
    seeds = [toy.picture(i) for i in range(4)]
    scores = []
    for _ in range(2):
        guide = type(toy.made_guide)()
        guide.store = EmbeddingStore(tmp_path, owner="colour")
        context = toy.context(seeds, [0] * 4, guide=guide)
        (found,) = EntropyGain().judge([toy.candidate(toy.picture(50), key="class/0")], [toy.request(None)], context)
        guide.store.save()
        scores.append(found.score)
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
