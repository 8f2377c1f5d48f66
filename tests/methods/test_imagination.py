"""The six imagining methods on tiny models: each variant is as it is defined, and every image tells its story."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.errors import ConfigError
from imaginate.methods.core.imagination import _say_unmoved
from imaginate.records import Candidate, Request
from roles import world_for

torch.set_num_threads(1)
GUIDED = ("gif-sd", "gif-mae", "gif-dalle")
FEW = {"gif-sd": {"steps": 4}, "sd": {"steps": 4}, "gif-dalle": {"steps": 3}, "unclip": {"steps": 3}}


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return world_for(request.node.callspec.params.get("name", "gif-sd"), tmp_path_factory)


@pytest.fixture
def sd_world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return world_for("gif-sd", tmp_path_factory)


def make(name: str, **settings: Any) -> Any:
    return registry.make("methods", name, {**FEW.get(name, {}), **settings})


def requests(copies: tuple[int, ...] = (3, 3, 2), images: list[torch.Tensor] | None = None) -> list[Request]:
    g = torch.Generator().manual_seed(0)
    given = images or [(torch.rand(3, 20, 28, generator=g) * 255).byte() for _ in copies]
    return [
        Request(
            key=f"s{i}",
            label=i % 3,
            copies=tuple(range(k)),
            seeds=tuple(100 * i + j for j in range(k)),
            image=given[i],
        )
        for i, k in enumerate(copies)
    ]


def totals(made: list[Candidate], key: str, when: str) -> float:
    return sum(c.scores[f"total_{when}"] for c in made if c.key == key)


@pytest.mark.parametrize("name", GUIDED)
def test_default_raises_the_score_of_every_seed(name: str, world: Any) -> None:
    made = make(name).expand(requests(), world)
    for key in ("s0", "s1", "s2"):
        assert totals(made, key, "after") > totals(made, key, "before")


@pytest.mark.parametrize("name", GUIDED)
def test_every_image_tells_its_story(name: str, world: Any) -> None:
    asked = requests()
    made = make(name).expand(asked, world)
    assert [(c.key, c.copy) for c in made] == [(r.key, copy) for r in asked for copy in r.copies]
    parts = ("kept", "entropy_gain", "informativeness", "diversity", "total")
    for c in made:
        assert set(c.scores) == {f"{part}_{when}" for part in parts for when in ("before", "after")}
        for when in ("before", "after"):
            informative = c.scores[f"kept_{when}"] + c.scores[f"entropy_gain_{when}"]
            assert c.scores[f"informativeness_{when}"] == pytest.approx(informative, abs=1e-5)
            assert c.scores[f"total_{when}"] == pytest.approx(informative + c.scores[f"diversity_{when}"], abs=1e-5)
        for fact in ("seed_class", "class_before", "class_after"):
            assert c.info[fact] in world.labels.names
        assert c.info["variant"] == "default"
        assert (c.prompt is not None) == (name == "gif-sd")
    if name == "gif-sd":
        assert {"strength", "guidance_scale", "steps", "eps"} <= set(made[0].info)


@pytest.mark.parametrize("name", ["gif-dalle"])
def test_embeddings_are_scored_with_embeddings_and_images_with_images(name: str, world: Any) -> None:
    asked = requests((2, 2))
    for c in make(name, ascent_steps=0, unguided=True).expand(asked, world):
        parts = {key.removesuffix("_before") for key in c.scores if key.endswith("_before")}
        assert all(c.scores[f"{part}_before"] == c.scores[f"{part}_after"] for part in parts)
        for fact in ("class", "image_class", "image_kept", "image_entropy_gain"):
            assert c.info[f"{fact}_before"] == c.info[f"{fact}_after"]
        assert c.info["moved_of_eps"] == 0
    made = make(name, eps=0.2).expand(asked, world)
    pixels = torch.stack([r.image for r in asked]).float() / 255
    seen = world.guide.logits(world.guide.embed(torch.stack([c.image for c in made]))).argmax(dim=1)
    assert [c.info["image_class_after"] for c in made] == [world.labels.names[int(i)] for i in seen]
    for c in made:
        assert 0 < c.info["moved_of_eps"] <= 2
        assert "image_class_before" not in c.info
    spread = [float(world.prior.encode(image[None]).std()) for image in pixels]
    assert [c.info["radius"] for c in made[::2]] == pytest.approx([0.2 * s for s in spread], rel=0.02)


def test_the_ball_of_gif_dalle_is_the_same_under_an_encoder_of_another_scale(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, asked = world_for("gif-dalle", tmp_path_factory), requests((2, 2))
    seen: list[torch.Tensor] = []

    def keep(embeddings: torch.Tensor, **how: Any) -> torch.Tensor:
        seen.append(embeddings)
        return torch.full((len(embeddings), 3, 32, 32), 0.5)

    monkeypatch.setattr(world.prior, "generate", keep)
    encode = world.prior.encode
    made = [make("gif-dalle", eps=0.3).expand(asked, world)]
    monkeypatch.setattr(world.prior, "encode", lambda pixels: 100 * encode(pixels))
    made.append(make("gif-dalle", eps=0.3).expand(asked, world))
    plain, scaled = seen
    assert torch.allclose(100 * plain, scaled, rtol=1e-3, atol=1e-2)
    pixels = torch.stack([r.image for r in asked]).float() / 255
    seeds = torch.cat([encode(image[None]) for image in pixels]).repeat_interleave(2, 0)
    away = (plain - seeds).abs().amax(1) / seeds.std(dim=1)
    assert away.max() <= 0.3 + 1e-3
    assert away.min() > 0.15  # and the ball is used
    assert [c.info["moved_of_eps"] for c in made[0]] == pytest.approx([c.info["moved_of_eps"] for c in made[1]], 1e-2)


@pytest.mark.parametrize("name", GUIDED)
def test_a_term_is_climbed_and_recorded(name: str, world: Any) -> None:
    asked = requests((2, 2))
    for term in ("prototypes", "chamfer", "entropy", "loss"):
        made = make(name, terms=f"{term}:20", ascent_steps=4).expand(asked, world)
        before, after = (sum(c.scores[f"terms_{when}"] for c in made) for when in ("before", "after"))
        assert after > before
        for c in made:
            parts = sum(c.scores[f"{part}_after"] for part in ("kept", "entropy_gain", "diversity", "terms"))
            assert c.scores["total_after"] == pytest.approx(parts, abs=1e-4)


def test_terms_of_weight_0_change_nothing_and_slips_are_refused(sd_world: Any) -> None:
    plain, off = (make("gif-sd", terms=t).expand(requests((2,)), sd_world) for t in ((), "entropy:0,chamfer:0"))
    assert all(torch.equal(a.image, b.image) and a.scores == b.scores for a, b in zip(plain, off, strict=True))
    for wrong, said in (
        ("chamfers:1", "there is no term 'chamfers'; did you mean 'chamfer'"),
        ("loss", "'loss' needs a weight from 0 to 1000, as in loss:0.5"),
        ("loss:-1", "needs a weight"),
        ("loss:nan", "needs a weight"),
        ("loss:1,loss:2", "loss is given twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            make("gif-sd", terms=wrong)


@pytest.mark.parametrize("name", ["gif-dalle", "gif-mae"])
def test_guidance_that_moves_nothing_says_so(
    name: str, world: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _say_unmoved.cache_clear()
    monkeypatch.setattr(world.guide, "logits", lambda rows: 0 * rows[:, : len(world.labels)])
    make(name, eps=0.123).expand(requests((1,)), world)
    assert "guidance moved none of the first copies: eps 0.123 is " in caplog.text


@pytest.mark.parametrize("name", ["gif-sd", "gif-mae"])
@pytest.mark.parametrize("variant", ["default", "paper", "released"])
def test_the_projection_holds_for_what_is_saved(
    name: str, variant: str, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among all latents that were decoded, those whose picture was saved lie in the ball of a base latent."""
    prior, seen, bases, eps = world.prior, [], [], 0.3
    decode, base = prior._decode, "diffuse" if name == "gif-sd" else "encode"
    make_base = getattr(prior, base)

    def spy(latents: torch.Tensor, *more: Any) -> torch.Tensor:
        images = decode(latents, *more)
        seen.extend(zip(latents.detach(), images.detach(), strict=True))
        return images

    def remember(*args: Any, **more: Any) -> torch.Tensor:
        bases.append(make_base(*args, **more))
        return bases[-1].clone()

    monkeypatch.setattr(prior, "_decode", spy)
    monkeypatch.setattr(prior, base, remember)
    plain = {"texture": "keep"} if name == "gif-mae" else {}
    made = make(name, variant=variant, eps=eps, **plain).expand(requests((2, 2)), world)
    starts = torch.cat(bases)
    for c in made:
        latent = next(latent for latent, image in reversed(seen) if torch.equal(image, c.image))
        assert (latent - starts).abs().flatten(1).amax(dim=1).min() <= eps + 1e-5


@pytest.mark.parametrize(("variant", "kept"), [("paper", True), ("released", True), ("default", False)])
def test_a_variant_keeps_or_removes_the_texture_of_patches(
    variant: str, kept: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked, world = requests((2, 2)), world_for("gif-mae", tmp_path_factory)
    found = {
        how: make("gif-mae", variant=variant, texture=how).expand(asked, world) for how in ("keep", "remove", None)
    }
    same = [
        torch.equal(a.image, b.image) for a, b in zip(found[None], found["keep" if kept else "remove"], strict=True)
    ]
    assert all(same)
    assert not any(torch.equal(a.image, b.image) for a, b in zip(found["keep"], found["remove"], strict=True))


@pytest.mark.parametrize(("variant", "diffusions"), [("paper", 2), ("released", 6), ("default", 6)])
def test_who_shares_a_diffusion(variant: str, diffusions: int, sd_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, real = [], sd_world.prior.diffuse
    monkeypatch.setattr(
        sd_world.prior, "diffuse", lambda latents, prompts, **how: rows.extend(prompts) or real(latents, prompts, **how)
    )
    made = make("gif-sd", variant=variant).expand(requests((3, 3)), sd_world)
    assert len(rows) == diffusions
    shared = {c.prompt for c in made if c.key == "s0"}
    assert len(shared) == 1 if variant == "paper" else len(shared) > 1


def test_nan_latents_are_drawn_again_then_rejected(sd_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, broken = sd_world.prior.diffuse, {101}
    always: set[int] = set()

    def unlucky(latents: Any, prompts: Any, *, seeds: Any, **how: Any) -> torch.Tensor:
        out = real(latents, prompts, seeds=seeds, **how)
        for row, seed in enumerate(seeds):
            if seed in broken or (always and seed not in range(1000)):
                out[row] = float("nan")
        return out

    good = make("gif-sd").expand(requests((2, 2)), sd_world)
    monkeypatch.setattr(sd_world.prior, "diffuse", unlucky)
    made = make("gif-sd").expand(requests((2, 2)), sd_world)
    assert [c.failed for c in made] == [None] * 4
    assert [c.info.get("retried") for c in made] == [None, None, None, 1]
    assert torch.equal(made[0].image, good[0].image)
    always.add(1)
    made = make("gif-sd").expand(requests((2, 2)), sd_world)
    assert [c.failed for c in made] == [None, None, None, "nan latents"]
    assert made[3].image is None
    assert made[2].image.isfinite().all()


@pytest.mark.parametrize("name", ["sd", "gif-sd", "mae", "gif-mae", "unclip", "gif-dalle"])
def test_grey_and_minute_images_are_taken(name: str, world: Any) -> None:
    images = [torch.full((1, 30, 30), 90, dtype=torch.uint8), torch.randint(0, 255, (3, 2, 1), dtype=torch.uint8)]
    for c in make(name).expand(requests((2, 2), images), world):
        assert c.failed is None
        assert c.image.isfinite().all()


def test_a_guide_of_another_space_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = world_for("gif-dalle", tmp_path_factory)

    class Other:
        name, labels, dim, device = "other", world.labels, 16, "cpu"

        def embed(self, images: torch.Tensor) -> torch.Tensor:
            return -world.guide.embed(images)

    refused = type("Refused", (), {"prior": world.prior, "guide": Other(), "labels": world.labels})()
    with pytest.raises(ConfigError, match=r"must be the CLIP of .* image encoder, other embeds the seeds elsewhere"):
        make("gif-dalle").expand(requests((2,)), refused)


def test_own_words_reach_the_prompt(sd_world: Any) -> None:
    made = make("sd", domains="a pixel art of", adjectives="none").expand(requests((1, 1)), sd_world)
    assert [c.prompt for c in made] == ["a pixel art of an ant", "a pixel art of a bee"]
    with pytest.raises(ConfigError, match="prompt must be at most"):
        make("sd", domains="a very long phrase " * 20 + "of").expand(requests((1,)), sd_world)
