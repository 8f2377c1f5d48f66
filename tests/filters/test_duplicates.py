"""What counts as the same picture: among kept images, as the seed, as a held-out image."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from imaginate.errors import ConfigError, DataError
from imaginate.filters.held_out import HeldOut
from imaginate.filters.near_duplicate import NearDuplicate
from imaginate.filters.seed_duplicate import SeedDuplicate


def _noisy(image: torch.Tensor, amount: int = 3) -> torch.Tensor:
    noise = torch.randint(-amount, amount + 1, image.shape, generator=torch.Generator().manual_seed(0))
    return (image.int() + noise).clamp(0, 255).to(torch.uint8)


def test_the_first_of_two_alike_stays(toy):
    a, b = toy.picture(0), toy.picture(1)
    tinted = (a.float() * torch.tensor([1.0, 0.4, 0.4]).view(3, 1, 1)).to(torch.uint8)
    candidates = [toy.candidate(i, copy=n) for n, i in enumerate([a, b, _noisy(a), tinted, _noisy(b)])]
    verdicts = NearDuplicate().judge(candidates, [toy.request(None)] * 5, toy.context(guide=None))
    assert [v.keep for v in verdicts] == [True, True, False, True, False]
    assert {v.reason for v in verdicts if not v.keep} == {"near-duplicate"}


def test_the_streaming_form_needs_no_image(toy):
    from imaginate.filters.core.alike import signatures

    images = [toy.picture(i % 4) if i % 3 else _noisy(toy.picture(i % 4)) for i in range(9)]
    judge = NearDuplicate()
    memory = judge.empty_memory()
    streamed = [judge.judge_next(memory, str(i), s) for i, s in enumerate(signatures(images))]
    whole = judge.judge([toy.candidate(i) for i in images], [toy.request(None)] * 9, toy.context(guide=None))
    assert streamed == whole


def test_embeddings_find_what_the_hash_cannot(toy):
    pair = [toy.candidate(toy.colour(0.9, 0.1, 0.1)), toy.candidate(toy.colour(0.5, 0.06, 0.06))]
    requests = [toy.request(None)] * 2
    assert [v.keep for v in NearDuplicate().judge(pair, requests, toy.context(guide=None))] == [True, True]
    assert [v.keep for v in NearDuplicate(cosine=0.99).judge(pair, requests, toy.context())] == [True, False]
    with pytest.raises(ConfigError, match="needs a guide"):
        NearDuplicate(cosine=0.99).judge(pair, requests, toy.context(guide=None))


def test_a_copy_of_the_seed_is_nothing_new(toy):
    seed = toy.picture(5)
    flipped, darker = seed.flip(-1), (seed.float() * 0.7).to(torch.uint8)
    candidates = [toy.candidate(i) for i in (seed.clone(), _noisy(seed, 1), flipped, darker)]
    verdicts = SeedDuplicate().judge(candidates, [toy.request(seed)] * 4, toy.context(guide=None))
    assert [v.keep for v in verdicts] == [False, False, True, True]
    assert verdicts[0].reason == "same as its seed"
    assert SeedDuplicate().judge(candidates[:1], [toy.request(None)], toy.context(guide=None))[0].keep


@pytest.fixture
def held_out_folder(toy, tmp_path):
    for n, name in enumerate(["red", "green"]):
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(toy.picture(70 + n).permute(1, 2, 0).numpy()).save(tmp_path / "test" / name / "x.png")
    return tmp_path


def test_copies_of_held_out_images_do_not_pass(toy, held_out_folder):
    copy = _noisy(toy.picture(70))
    recoloured = (copy.float() * torch.tensor([0.8, 1.0, 0.6]).view(3, 1, 1)).to(torch.uint8)
    enlarged = torch.nn.functional.interpolate(copy[None].float(), size=(80, 80), mode="bilinear")[0].to(torch.uint8)
    candidates = [toy.candidate(i) for i in (copy, copy.flip(-1), recoloured, enlarged, toy.picture(99))]
    judge = HeldOut(path=str(held_out_folder), split="test")
    verdicts = judge.judge(candidates, [toy.request(None)] * 5, toy.context(guide=None))
    assert [v.keep for v in verdicts] == [False, False, False, False, True]
    assert verdicts[0].reason == "held-out duplicate"
    by_guide = HeldOut(path=str(held_out_folder), split="test", bits=0, cosine=0.9999)
    assert not by_guide.judge([candidates[3]], [toy.request(None)], toy.context())[0].keep


@pytest.mark.parametrize("held", ["whole", "crop"])
def test_a_square_out_of_the_middle_is_a_copy_either_way(toy, tmp_path, held):
    wide = toy.picture(31, 96)[:, :60]
    middle = wide[:, :, 18:78]
    kept, made = (wide, middle) if held == "whole" else (middle, wide)
    for n, name in enumerate(["red", "green"]):
        (tmp_path / name).mkdir()
        shown = kept if n == 0 else toy.picture(n)
        Image.fromarray(shown.permute(1, 2, 0).numpy()).save(tmp_path / name / "x.png")
    small = torch.nn.functional.interpolate(made[None].float(), scale_factor=0.75, mode="area")[0].to(torch.uint8)
    others = [toy.picture(90 + n, 96)[:, :60] for n in range(20)]
    images = [small, small.flip(-1), *others]
    verdicts = HeldOut(path=str(tmp_path)).judge(
        [toy.candidate(i) for i in images], [toy.request(None)] * 22, toy.context(guide=None)
    )
    assert [v.keep for v in verdicts] == [False, False, *[True] * 20]


def test_a_held_out_set_that_is_not_there(toy, tmp_path):
    with pytest.raises(DataError):
        HeldOut(path=str(tmp_path / "no")).judge([toy.candidate(toy.picture(0))], [toy.request(None)], toy.context())
