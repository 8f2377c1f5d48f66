"""Pipelines of diffusers that are driven as they are: against the libraries' own text-to-image, seed by seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_flow
from imaginate.contract import BeginsSomewhere, DiffusionPrior, EditPrior, Inverts
from imaginate.errors import ConfigError, ModelError
from imaginate.models.priors import build_prior
from imaginate.models.priors.core.fitting import fitting_settings
from imaginate.models.priors.core.running import _say_unguided
from imaginate.models.priors.image_to_image import ImageToImage
from imaginate.ops.noise import stream

torch.set_num_threads(1)
ALL = ("sd3", "flux", "schnell", "z_image", "qwen")
FIXED = {"steps": 4, "guidance_scale": 3.0}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny pipeline, built once."""
    root, built = tmp_path_factory.mktemp("flow"), dict[str, Path]()

    def folder(name: str) -> Path:
        if name not in built:
            more = {"guidance": False} if name == "schnell" else {}
            build = getattr(tiny_flow, f"tiny_{'flux' if name == 'schnell' else name}")
            built[name] = build(root / name, **more)
        return built[name]

    return folder


@pytest.fixture(scope="session")
def prior(place: Callable[[str], Path]) -> Callable[[str], Any]:
    built: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in built and name == "qwen":  # its configuration says no size: 256 px, which is long on a CPU
            from diffusers import QwenImageImg2ImgPipeline

            pipe = QwenImageImg2ImgPipeline.from_pretrained(place(name))
            built[name] = ImageToImage(pipe, name=name, image_size=16)
        elif name not in built:
            built[name] = build_prior("stable-diffusion", str(place(name)))
        return built[name]

    return of


def pictures(count: int, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", ALL)
def test_from_pure_noise_it_is_the_librarys_own_text_to_image(
    name: str, prior: Callable[[str], Any], place: Callable[[str], Path]
) -> None:
    from diffusers import DiffusionPipeline

    ours, seeds, texts = prior(name), [3, 4], ["a cat", "a small dog"]
    assert isinstance(ours, DiffusionPrior)
    assert isinstance(ours, BeginsSomewhere)
    latents = ours.diffuse(None, texts, strength=1.0, seeds=seeds, **FIXED)
    assert latents.shape == (2, 16, 8, 8)
    own = DiffusionPipeline.from_pretrained(place(name))
    own.set_progress_bar_config(disable=True)
    scale = {"true_cfg_scale": 3.0, "negative_prompt": [" "] * 2} if name == "qwen" else {"guidance_scale": 3.0}
    scale = {"guidance_scale": 2.0} if name == "z_image" else scale  # it counts from 0
    draws = [stream(seed, "diffusion") for seed in seeds]
    theirs = own(
        texts, height=16, width=16, num_inference_steps=4, generator=draws, output_type="pt", **scale
    ).images  # fmt: skip
    assert torch.allclose(ours.decode(latents), theirs, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_a_seed_gives_the_same_image_in_any_batch(name: str, prior: Callable[[str], Any]) -> None:
    ours, seeds, texts = prior(name), [1, 2, 3], ["a", "a much longer prompt", "b"]
    latents = ours.encode(pictures(3), seeds)
    together = ours.decode(ours.diffuse(latents, texts, strength=0.5, seeds=seeds, **FIXED))
    alone = ours.decode(ours.diffuse(latents[1:2], texts[1:2], strength=0.5, seeds=[2], **FIXED))
    assert ((together[1:2] - alone).abs() * 255).max() < 1
    again = ours.decode(ours.diffuse(latents, texts, strength=0.5, seeds=seeds, **FIXED))
    assert torch.equal(together, again)
    other = ours.decode(ours.diffuse(latents[1:2], texts[1:2], strength=0.5, seeds=[9], **FIXED))
    assert not torch.allclose(alone, other, atol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_a_start_is_where_it_says(name: str, prior: Callable[[str], Any]) -> None:
    """At a share of noise near 0 the image comes back; what `begins` says is what was asked for."""
    ours = prior(name)
    for share in (0.05, 0.3, 0.8):
        found = ours.begins(strength=1.0, steps=6, noise=share)
        assert found.noise == pytest.approx(share, abs=0.02)
        assert found.steps == 6
    latents = ours.encode(pictures(1), [1])
    moved = [
        (ours.diffuse(latents, ["a"], strength=1.0, noise=share, seeds=[1], **FIXED) - latents).abs().mean()
        for share in (0.01, 0.9)
    ]
    assert moved[0] < moved[1] / 2
    assert ours.begins(strength=0.5, steps=6).noise < ours.begins(strength=0.9, steps=6).noise
    assert ours.begins(strength=1.0, steps=6).noise == 1
    with pytest.raises(ConfigError, match=r"strength must be in \(0, 1\], got 3"):
        ours.diffuse(latents, ["a"], strength=3, seeds=[1], **FIXED)


@pytest.mark.parametrize("name", ["sd3", "qwen"])
def test_decoding_has_the_right_gradient(name: str, prior: Callable[[str], Any]) -> None:
    ours = prior(name)
    latents = ours.encode(pictures(2), [1, 2])
    weights = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    x = latents.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((ours.decode(x) * weights).sum(), x)
    nudge = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1)) * 1e-2
    change = ((ours.decode(latents + nudge) - ours.decode(latents - nudge)) * weights).sum() / 2
    assert change.item() == pytest.approx((gradient * nudge).sum().item(), rel=0.05, abs=1e-4)
    mean, deviation = ours.posterior(pictures(2))
    assert mean.shape == deviation.shape == (2, 16, 8, 8)


def test_the_guidance_scale_means_the_same_for_all(prior: Callable[[str], Any], caplog: Any) -> None:
    """1 is none: nothing of the negative prompt is in the image. Above it the scale changes the image."""
    for name in ("sd3", "flux", "z_image", "qwen"):
        ours = prior(name)
        how: dict[str, Any] = {"strength": 1.0, "steps": 2, "seeds": [1]}
        plain = ours.diffuse(None, ["a"], guidance_scale=1.0, **how)
        assert torch.equal(plain, ours.diffuse(None, ["a"], guidance_scale=1.0, negative="ugly", **how))
        strong = ours.diffuse(None, ["a"], guidance_scale=6.0, **how)
        assert not torch.allclose(plain, strong, atol=1e-3)
        assert not torch.allclose(
            strong, ours.diffuse(None, ["a"], guidance_scale=6.0, negative="ugly", **how), atol=1e-3
        )
    _say_unguided.cache_clear()
    prior("schnell").diffuse(None, ["a"], guidance_scale=6.0, **how)
    assert "distilled and takes no guidance scale" in caplog.text


def test_stochastic_steps_belong_to_their_image(place: Callable[[str], Path]) -> None:
    ours = build_prior("stable-diffusion", str(place("sd3")))
    ours.running.scheduler.register_to_config(stochastic_sampling=True)
    latents = ours.encode(pictures(2), [1, 2])
    together = ours.diffuse(latents, ["a", "b"], strength=0.9, seeds=[1, 2], **FIXED)
    assert torch.allclose(together[1:], ours.diffuse(latents[1:], ["b"], strength=0.9, seeds=[2], **FIXED), atol=1e-5)


def test_ready_conditionings_do_the_same_as_prompts(prior: Callable[[str], Any]) -> None:
    for name in ("sd3", "flux"):
        ours = prior(name)
        how: dict[str, Any] = {"strength": 1.0, "seeds": [1], **FIXED}
        rows = ours.embed_prompts(["a cat"])
        expected = ours.diffuse(None, ["a cat"], **how)
        assert torch.allclose(ours.diffuse(None, rows, **how), expected, atol=1e-5)
    with pytest.raises(ConfigError, match="takes no ready text embeddings"):
        prior("qwen").embed_prompts(["a cat"])
    with pytest.raises(ConfigError, match=r"prompt must be at most 512 tokens, got \d+"):
        prior("flux").diffuse(None, ["long " * 600], **how)


@pytest.mark.parametrize(("name", "size"), [("pixart", 16), ("sana", 32)])
def test_what_draws_from_text_alone_serves_prompts_and_refuses_seeds(
    name: str, size: int, prior: Callable[[str], Any]
) -> None:
    ours = prior(name)
    how: dict[str, Any] = {"strength": 0.5, "seeds": [1], **FIXED}
    drawn = ours.decode(ours.diffuse(None, ["a cat"], **how))
    assert drawn.shape == (1, 3, size, size)
    more = ours.diffuse(None, ["a dog", "a cat"], **how | {"seeds": [2, 1]})
    torch.testing.assert_close(ours.decode(more)[1:], drawn, rtol=0, atol=1 / 255)
    with pytest.raises(ConfigError, match="draws from text alone: use method prompt"):
        ours.diffuse(torch.zeros(1, 4, 8, 8), ["a cat"], **how)
    with pytest.raises(ConfigError, match="draws from text alone"):
        ours.begins(strength=0.5, steps=4)


def test_a_scheduler_that_does_not_fit_is_refused_and_a_fitting_one_is_the_default(
    prior: Callable[[str], Any], place: Callable[[str], Path]
) -> None:
    with pytest.raises(ConfigError, match="has no table of noise levels to keep; give --scheduler none"):
        prior("sd3").begins(strength=0.5, steps=4, scheduler="ddim")
    assert fitting_settings(str(place("sd3"))) == {"scheduler": None}
    assert fitting_settings(str(place("flux"))) == {"scheduler": None, "guidance_scale": 3.5}
    assert fitting_settings(str(place("schnell"))) == {"scheduler": None, "guidance_scale": 1.0, "steps": 4}
    assert fitting_settings(str(place("pixart"))) == {}
    assert fitting_settings("somebody/unknown") == {}


PARTS = {"vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"]}
UNET, TRANSFORMER = {"unet": ["diffusers", "UNet2DConditionModel"]}, {"transformer": ["diffusers", "X"]}
CONTROL = {"controlnet": ["diffusers", "ControlNetModel"]}
REFUSED = [
    ({"_class_name": "StableDiffusionControlNetPipeline", **PARTS, **UNET, **CONTROL}, "with a controlnet, which"),
    ({"_class_name": "FluxControlNetPipeline", **PARTS, **TRANSFORMER, **CONTROL}, "with a controlnet, which"),
    ({"_class_name": "FluxFillPipeline", **PARTS, **TRANSFORMER}, "needs a mask_image, which no method gives"),
    ({"_class_name": "FluxControlPipeline", **PARTS, **TRANSFORMER}, "needs a control_image, which no method gives"),
    ({"_class_name": "FluxKontextPipeline", **PARTS, **TRANSFORMER}, "by instruction: use method edit"),
    ({"_class_name": "StableDiffusionInstructPix2PixPipeline", **PARTS, **UNET}, "by instruction: use method edit"),
    ({"_class_name": "AudioLDM2Pipeline", **PARTS, **TRANSFORMER}, "neither edits images nor draws them"),
    ({"_class_name": "TomorrowPipeline", **PARTS, **TRANSFORMER}, "this version of diffusers does not have"),
]  # fmt: skip


@pytest.mark.parametrize(("index", "words"), REFUSED, ids=[str(index["_class_name"]) for index, _ in REFUSED])
def test_what_cannot_be_driven_is_refused_before_its_weights_are_loaded(
    index: dict[str, Any], words: str, tmp_path: Path
) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=words) as caught:
        build_prior("stable-diffusion", str(tmp_path))
    assert "\n" not in str(caught.value)


def test_editors(place: Callable[[str], Path]) -> None:
    kontext = build_prior("edit", str(place("kontext")))
    assert isinstance(kontext, EditPrior)
    images = pictures(2, 24)
    how: dict[str, Any] = {"steps": 2, "guidance_scale": 2.0}
    together = kontext.edit(images, ["make it blue", "at night"], seeds=[1, 2], **how)
    assert together.shape == (2, 3, 16, 16)
    assert torch.equal(together[1:], kontext.edit(images[1:], ["at night"], seeds=[2], **how))
    assert not torch.equal(together[1:], kontext.edit(images[1:], ["at night"], seeds=[3], **how))
    with pytest.raises(ConfigError, match="takes no image guidance scale"):
        kontext.edit(images, ["a", "b"], seeds=[1, 2], image_guidance_scale=2.0)
    with pytest.raises(ModelError, match="does not edit by instruction"):
        build_prior("edit", str(place("sd3")))


def test_a_lora_of_flux_and_a_word_of_sd3(place: Callable[[str], Path], tmp_path: Path) -> None:
    from diffusers import FluxPipeline
    from safetensors.torch import save_file

    plain = build_prior("stable-diffusion", str(place("flux")))
    name = "transformer_blocks.0.attn.to_q"
    before = plain.networks()["transformer"].get_submodule(name).weight.detach()
    a, b = torch.randn(2, before.shape[1]), torch.randn(before.shape[0], 2)
    layers = {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    FluxPipeline.save_lora_weights(tmp_path / "lora", transformer_lora_layers=layers)
    tuned = build_prior("stable-diffusion", str(place("flux")), adaptation=str(tmp_path / "lora"))
    torch.testing.assert_close(tuned.networks()["transformer"].get_submodule(name).weight, before + b @ a)

    save_file({"clip_l": torch.ones(1, 16), "clip_g": torch.ones(1, 16)}, str(tmp_path / "fox.safetensors"))
    sd3 = build_prior("stable-diffusion", str(place("sd3")), adaptation=str(tmp_path / "fox.safetensors"))
    untaught = build_prior("stable-diffusion", str(place("sd3")))
    assert not torch.allclose(
        sd3.embed_prompts(["a <fox>"]).hidden, untaught.embed_prompts(["a <fox>"]).hidden, atol=1e-3
    )


def _pure(ours: Any, seeds: list[int]) -> torch.Tensor:
    """The noise that the pipeline draws for these seeds."""
    shape = (1, 16, ours.latent_size, ours.latent_size)
    return torch.cat([torch.randn(shape, generator=stream(seed, "diffusion")) for seed in seeds])


@pytest.mark.parametrize("name", ["sd3", "flux", "schnell"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_straight_path_from_noise_is_the_librarys_own(name: str, scale: float, prior: Callable[[str], Any]) -> None:
    ours, seeds, texts = prior(name), [3, 4], ["a cat", "a small dog"]
    assert isinstance(ours, Inverts)
    expected = ours.diffuse(None, texts, strength=1.0, seeds=seeds, steps=4, guidance_scale=scale)
    how = {"first": 0.5, "guidance_scale": scale, "steps": 4}
    found = ours.denoise(_pure(ours, seeds), texts, then=texts, **how)
    assert torch.allclose(found, expected, atol=1e-4)
    other = ours.denoise(_pure(ours, seeds), texts, then=["b", "c"], **how)
    assert not torch.allclose(found, other, atol=1e-4)


@pytest.mark.parametrize("name", ["sd3", "flux", "schnell"])
def test_an_inversion_of_a_flow_comes_back(name: str, prior: Callable[[str], Any]) -> None:
    """The nearer the more steps there are: each undoes a step by the velocity at the level below it."""
    ours = prior(name)
    latents, texts = ours.encode(pictures(2), [1, 2]), ["", "a cat"]
    lost = []
    for steps in (2, 8, 32):
        noise = ours.invert(latents, texts, steps=steps)
        assert (noise - latents).abs().mean() > 0.05
        back = ours.denoise(noise, texts, then=texts, first=1.0, guidance_scale=1.0, steps=steps)
        lost.append(float((back - latents).abs().mean()))
    assert lost[2] < lost[1] < lost[0]
    assert lost[2] < 0.2 * float((noise - latents).abs().mean())


@pytest.mark.parametrize("name", ["qwen", "z_image"])
def test_a_flow_whose_network_is_not_known_alone_is_not_inverted(name: str, prior: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigError, match=r"cannot be inverted: Stable Diffusion 1, 2, XL, 3 and FLUX\.1 can"):
        prior(name).check_invertible()
