"""Diff-II on the tiny Stable Diffusion: noises that come back, partners of the class, and what cannot be inverted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.errors import ConfigError
from imaginate.ops.pixels import stack
from roles import world_for

torch.set_num_threads(1)


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return world_for("diff-ii", tmp_path_factory)


def test_an_inversion_comes_back_to_its_image(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, where a prediction depends on the level alone: each level is met by the same one on both ways."""
    prior, asked = world.prior, []

    def predictor(*_: Any) -> Any:
        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            asked.append(int(t))
            return torch.randn(x.shape, generator=torch.Generator().manual_seed(int(t)))

        return predict

    monkeypatch.setattr(prior, "_predictor", predictor)
    pixels = stack([world.samples.image(i) for i in range(2)], prior.image_size)
    latents = prior.encode(pixels, [1, 2])
    there = prior.invert(latents, ["", ""], steps=8)
    up, asked[:] = list(asked), []
    back = prior.denoise(there, ["", ""], then=["", ""], first=0.5, guidance_scale=1.0, steps=8)
    assert asked == up[::-1] == sorted(asked, reverse=True)
    assert len(asked) == 8
    assert (there - latents).abs().mean() > 0.3
    assert torch.allclose(back, latents, atol=1e-3)


def test_partners_are_of_the_class_and_the_first_stage_has_its_suffix(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[tuple[list[str], list[str], float]] = []
    real = world.prior.denoise

    def spy(noise: torch.Tensor, prompts: list[str], *, then: list[str], first: float, **how: Any) -> torch.Tensor:
        stages.append((list(prompts), list(then), first))
        return real(noise, prompts, then=then, first=first, **how)

    monkeypatch.setattr(world.prior, "denoise", spy)
    method = registry.make("methods", "diff-ii", {"steps": 3, "suffixes": ("at night",), "first_stage": 0.4})
    made = method.expand(world.requests("diff-ii", count=3, copies=2), world)
    label_of = {world.samples.sample(i).id: world.samples.sample(i).label for i in range(len(world.samples))}
    for c in made:
        assert label_of[c.info["partner"]] == c.label
        assert c.info["partner"] != c.key
        assert 0 <= c.info["turn"] < 1
        assert c.prompt.endswith(" at night")
    (scenes, plain, share), *_ = stages
    assert scenes == [f"{text} at night" for text in plain]
    assert share == 0.4


def test_a_prior_that_cannot_be_inverted_is_refused_in_one_line(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(type(world.prior), "invert")
    with pytest.raises(ConfigError, match=r"diff-ii inverts a diffusion, which .* cannot"):
        registry.make("methods", "diff-ii", {}).prepare(world)


@pytest.mark.parametrize("times", [1, 99])
def test_what_is_no_number_is_drawn_again_then_rejected(
    world: Any, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The first copy alone, as often as it is drawn; a new draw has another place on the circle."""
    real, asked = world.prior.denoise, []

    def unlucky(noise: torch.Tensor, prompts: list[str], **how: Any) -> torch.Tensor:
        asked.append(noise.clone())
        out = real(noise, prompts, **how)
        if len(asked) <= times:
            out[0] = float("nan")
        return out

    monkeypatch.setattr(world.prior, "denoise", unlucky)
    method = registry.make("methods", "diff-ii", {"steps": 3})
    made = method.expand(world.requests("diff-ii", count=1, copies=2), world)
    again = [noise for noise in asked[1:] if len(noise) == 1]
    assert len(again) >= 1
    assert not torch.allclose(again[0], asked[0][:1])
    assert [c.failed for c in made] == [None if times == 1 else "nan latents", None]
    assert [c.info.get("retried") for c in made][1] is None
