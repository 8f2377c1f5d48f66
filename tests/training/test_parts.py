"""Streams, recipes, augmentation, classifiers by name, stores."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.errors import ConfigError
from imaginate.training.architectures import build_classifier, check_arch
from imaginate.training.augment import augment, centre, normalise
from imaginate.training.pixel_cache import fit_square
from imaginate.training.recipes import RECIPES, Recipe
from imaginate.training.sampler import Stream


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 1000))
def test_a_stream_shows_every_image_once_an_epoch_from_wherever_it_starts(count: int, batch: int, seed: int) -> None:
    whole = np.concatenate([Stream(count, batch, seed).indices(u) for u in range(-(-3 * count // batch))])
    for epoch in range(3):
        assert Counter(whole[epoch * count : (epoch + 1) * count]) == Counter(range(count))
    late = Stream(count, batch, seed)
    assert (late.indices(2) == np.concatenate([late.indices(u) for u in range(3)])[2 * batch :]).all()


def test_the_papers_schedules() -> None:
    gif, step, ret = RECIPES["gif"], RECIPES["gif-step"], RECIPES["ret"]
    assert (gif.epochs, gif.batch, gif.lr, gif.weight_decay, gif.nesterov) == (100, 256, 0.1, 1e-4, True)
    for update in range(0, 1000, 37):
        assert gif.factor(update, 1000) == pytest.approx(0.5 * (1 + math.cos(math.pi * update / 1000)))
    assert [step.factor(u, 100) for u in (0, 20, 21, 30, 31, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert (ret.schedule, ret.plateau, ret.patience, ret.epochs, ret.batch) == ("plateau", 10, 20, 270, 256)
    warm = Recipe(warmup=0.1)
    assert [warm.factor(u, 100) for u in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert (Recipe().peak(False), Recipe().peak(True)) == pytest.approx((0.05, 0.005))


@pytest.mark.parametrize("policy", ["none", "light", "strong"])
def test_augmentation_keeps_shape_and_range_and_follows_its_seed(policy: str) -> None:
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (4, 3, 36, 36), dtype=torch.uint8)
    state = torch.get_rng_state()
    first, second, other = (augment(images, 32, policy, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == (4, 3, 32, 32)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, second)
    assert torch.equal(first, other) == (policy == "none")
    assert torch.equal(augment(images, 32, "none", 0), centre(images, 32))
    assert normalise(torch.full((1, 3, 2, 2), 0.485))[0, 0].abs().max() < 1e-6


def test_squares_are_the_centre_of_the_short_side() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:60] = 200
    assert (fit_square(image, 40) == 200).all()
    assert fit_square(image, 16).shape == (16, 16, 3)
    assert fit_square(image[:5, :9], 16).shape == (16, 16, 3)


def test_classifiers_by_name() -> None:
    small = build_classifier("small", 5, seed=3)
    assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    again, other = build_classifier("small", 5, seed=3), build_classifier("small", 5, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), again.parameters(), strict=True))
    assert not torch.equal(small[0].weight, other[0].weight)
    for refuse in (lambda: build_classifier("small", 5, pretrained=True), lambda: check_arch("small", pretrained=True)):
        with pytest.raises(ConfigError, match="pretrained must be off for arch 'small'"):
            refuse()
    check_arch("small")
    check_arch("resnext50", pretrained=True)
    with pytest.raises(ConfigError, match="unknown arch 'resnext5'; did you mean 'resnext50'"):
        check_arch("resnext5")


def test_a_file_that_was_made_anew_is_decoded_anew(tmp_path):
    from PIL import Image

    from imaginate.data import open_dataset
    from imaginate.training.pixel_cache import build_pixel_cache

    def stored(colour: str) -> int:
        for name in ("a", "b"):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), colour).save(tmp_path / "data" / name / "x.png")
        samples = open_dataset(str(tmp_path / "data")).samples
        store = build_pixel_cache(samples, tmp_path / "cache", size=8, classes=2)
        return int(store.pixels()[0, 0, 0, 0])

    assert stored("#ff0000") == 255
    assert stored("#ff0000") == 255
    assert stored("#000000") == 0
