"""The priors on tiny random models of the real classes: against the libraries' own pipelines, and batch by batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from imaginate.contract import DiffusionPrior, MaePrior, UnclipPrior
from imaginate.errors import ConfigError, ModelError
from imaginate.models.priors import build_prior
from imaginate.models.priors.core.schedulers import SCHEDULERS, make_scheduler, start
from imaginate.models.priors.mae import unnormalise_patches
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal
from tiny import tiny_karlo, tiny_mae, tiny_sd, tiny_sdxl, tiny_unclip

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("priors")


@pytest.fixture(scope="session")
def sd(root: Path) -> Any:
    return build_prior("stable-diffusion", str(tiny_sd(root / "sd")))


@pytest.fixture(scope="session")
def sdxl(root: Path) -> Any:
    return build_prior("stable-diffusion", str(tiny_sdxl(root / "sdxl")))


@pytest.fixture(scope="session")
def mae(root: Path) -> Any:
    return build_prior("mae", str(tiny_mae(root / "mae")))


@pytest.fixture(scope="session")
def unclip(root: Path) -> Any:
    return build_prior("unclip", str(tiny_unclip(root / "unclip")))


@pytest.fixture(scope="session")
def karlo(root: Path) -> Any:
    return build_prior("unclip", str(tiny_karlo(root / "karlo")))


def pictures(count: int, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def test_they_keep_the_contract(sd: Any, sdxl: Any, mae: Any, unclip: Any, karlo: Any) -> None:
    assert isinstance(sd, DiffusionPrior)
    assert isinstance(sdxl, DiffusionPrior)
    assert isinstance(mae, MaePrior)
    assert isinstance(unclip, UnclipPrior)
    assert isinstance(karlo, UnclipPrior)
    for prior in (sd, sdxl, mae, unclip, karlo):
        assert prior.image_size == 16
    for module in (sd.unet, sd.vae, sd.text_encoder, mae.model, unclip.unet, karlo.unet):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())


@pytest.mark.parametrize("name", ["sd", "sdxl"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_diffusion_is_the_pipelines_own(name: str, strength: float, request: pytest.FixtureRequest) -> None:
    """Same latents, same noise, same prompt: what diffusers' img2img and text-to-image pipelines make."""
    import diffusers

    prior = request.getfixturevalue(name)
    kind = "XL" if name == "sdxl" else ""
    parts = dict(prior.pipe.components)
    parts.pop("feature_extractor", None)
    parts.pop("image_encoder", None)
    more: dict[str, Any] = {} if kind else {"feature_extractor": None, "requires_safety_checker": False}
    seeds, prompts = [3, 4], ["a cat", "a dog"]
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = normal(seeds, "diffusion", (4, 8, 8))
    ours = prior.diffuse(latents, prompts, strength=strength, guidance_scale=5.0, steps=4, seeds=seeds)
    if strength == 1.0:
        pipe = getattr(diffusers, f"StableDiffusion{kind}Pipeline")(**parts, **more)
        arguments: dict[str, Any] = {"latents": noise, "height": 16, "width": 16}
    else:
        pipe = getattr(diffusers, f"StableDiffusion{kind}Img2ImgPipeline")(**parts, **more)
        pipe.prepare_latents = lambda *_, **__: prior.scheduler.add_noise(latents, noise, _first(prior, 4, strength))
        arguments = {"image": torch.zeros(2, 3, 16, 16), "strength": strength}
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(prompts, guidance_scale=5.0, num_inference_steps=4, output_type="latent", **arguments).images
    assert torch.allclose(ours, theirs, atol=2e-4), (ours - theirs).abs().max()


def _first(prior: Any, steps: int, strength: float) -> torch.Tensor:
    return start(make_scheduler(None, prior.scheduler), steps, strength, "cpu")[:1].repeat(2)


@pytest.mark.parametrize("scheduler", [None, *SCHEDULERS])
def test_every_scheduler_ignores_the_batch(sd: Any, scheduler: str | None) -> None:
    latents = sd.encode(pictures(3), [1, 2, 3])
    how: dict[str, Any] = {"strength": 0.5, "guidance_scale": 3.0, "steps": 6, "scheduler": scheduler}
    together = sd.diffuse(latents, ["a", "b", "c"], seeds=[1, 2, 3], **how)
    alone = sd.diffuse(latents[1:2], ["b"], seeds=[2], **how)
    assert torch.isfinite(together).all()
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_distilled_unets_take_the_scale_as_an_input(root: Path) -> None:
    prior = build_prior("stable-diffusion", str(tiny_sd(root / "lcm", time_cond_proj_dim=8)))
    how: dict[str, Any] = {"strength": 1.0, "steps": 2, "seeds": [1], "scheduler": "lcm"}
    a = prior.diffuse(None, ["a"], guidance_scale=1.0, **how)
    b = prior.diffuse(None, ["a"], guidance_scale=8.0, **how)
    assert torch.isfinite(a).all()
    assert not torch.equal(a, b)


def test_encode_draws_from_the_posterior(sd: Any) -> None:
    images = pictures(2)
    posterior = sd.vae.encode(images * 2 - 1).latent_dist
    expected = (posterior.mean + posterior.std * normal([7, 8], "posterior", (4, 8, 8))) * sd.vae.config.scaling_factor
    assert torch.allclose(sd.encode(images, [7, 8]), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["sd", "mae"])
def test_decoding_has_the_right_gradient_in_any_micro_batch(name: str, request: pytest.FixtureRequest) -> None:
    prior = request.getfixturevalue(name)
    images = pictures(3)
    latents = prior.encode(images, [1, 2, 3]) if name == "sd" else prior.encode(images)
    more = () if name == "sd" else (images,)
    weights = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def gradient(size: int) -> torch.Tensor:
        prior.batch.gradient = size
        x = latents.clone().requires_grad_()
        (grad,) = torch.autograd.grad((prior.decode(x, *more) * weights).sum(), x)
        return grad

    whole, pieces = gradient(8), gradient(1)
    assert torch.allclose(whole, pieces, atol=1e-4)
    nudge = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1)) * 1e-2
    change = ((prior.decode(latents + nudge, *more) - prior.decode(latents - nudge, *more)) * weights).sum() / 2
    assert change.item() == pytest.approx((whole * nudge).sum().item(), rel=0.05, abs=1e-4)


def test_running_out_of_memory_halves_the_batch_then_says_so(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = sd._decode, []

    def greedy(latents: torch.Tensor) -> torch.Tensor:
        sizes.append(len(latents))
        if len(latents) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return real(latents)

    latents = sd.encode(pictures(4), [1, 2, 3, 4])
    expected = sd.decode(latents)
    monkeypatch.setattr(sd, "_decode", greedy)
    sd.batch.decode, limit = 4, 1
    assert torch.allclose(sd.decode(latents), expected, atol=1e-5)
    assert sizes == [4, 2, 1, 1, 1, 1]
    limit = 0
    with pytest.raises(ModelError, match="out of memory for one image of 16 px"):
        sd.decode(latents)


def test_prompts_are_encoded_once_and_long_ones_refused(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sd.text.cache.clear()
    calls, real = [], sd.text._row
    monkeypatch.setattr(sd.text, "_row", lambda prompt: calls.append(prompt) or real(prompt))
    rows = sd.embed_prompts(["a cat", "a dog", "a cat"])
    sd.embed_prompts(["a dog"])
    assert calls == ["a cat", "a dog"]
    assert torch.equal(rows.hidden[0], rows.hidden[2])
    assert rows.hidden.shape == (3, 64, 16)
    with pytest.raises(ConfigError, match=r"prompt must be at most 64 tokens, got \d+"):
        sd.embed_prompts(["supercalifragilistic" * 5])


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_ready_conditionings_do_the_same_as_prompts(name: str, request: pytest.FixtureRequest) -> None:
    prior = request.getfixturevalue(name)
    how: dict[str, Any] = {"strength": 1.0, "guidance_scale": 4.0, "steps": 3, "seeds": [1]}
    told = prior.embed_prompts(["a cat"])
    assert torch.equal(prior.diffuse(None, ["a cat"], **how), prior.diffuse(None, told, **how))
    if name == "sdxl":
        with pytest.raises(ConfigError, match="needs pooled embeddings too"):
            prior.diffuse(None, Conditioning(told.hidden), **how)


def test_a_learnt_word_does_not_move_where_sdxl_pools(root: Path, sdxl: Any) -> None:
    """Early configurations have `eos_token_id` 2, for which transformers pools at the highest id: a new word's."""
    from safetensors.torch import save_file

    folder = tiny_sdxl(root / "old")
    config = folder / "text_encoder_2" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "eos_token_id": 2}))
    old, new = (build_prior("stable-diffusion", str(root / name)) for name in ("old", "sdxl"))
    rows = torch.randn(2, 16)
    save_file({"clip_l": rows[:1], "clip_g": rows[1:]}, str(root / "fox.safetensors"))  # the file's name is the word
    for prior in (old, new):
        prior.load_adaptation(str(root / "fox.safetensors"))
    texts = ["a cat", "a <fox> in snow"]
    assert torch.equal(old.embed_prompts(texts).pooled, new.embed_prompts(texts).pooled)
    ids = old.tokenizer_2(texts[1], padding="max_length", max_length=64, return_tensors="pt").input_ids
    with torch.no_grad():
        there = new.text_encoder_2(ids).text_embeds
        assert torch.allclose(new.embed_prompts(texts[1:]).pooled, there, atol=1e-6)
        assert not torch.allclose(old.text_encoder_2(ids).text_embeds, there, atol=1e-3)
        old.text_encoder_2.text_model.eos_token_id = old.tokenizer_2.eos_token_id  # what the docs tell others to do
        assert torch.allclose(old.text_encoder_2(ids).text_embeds, there, atol=1e-6)


def test_words_of_two_files_are_two_tables(root: Path, sd: Any, sdxl: Any, tmp_path: Path) -> None:
    """As diffusers' example for SDXL writes them."""
    from safetensors.torch import save_file

    save_file({"<fox>": torch.ones(1, 16)}, str(tmp_path / "learned_embeds.safetensors"))
    save_file({"<fox>": torch.full((1, 16), 2.0)}, str(tmp_path / "learned_embeds_2.safetensors"))
    prior = build_prior("stable-diffusion", str(root / "sdxl"), adaptation=str(tmp_path))
    for value, (tokenizer, encoder) in enumerate(prior.text.parts.values(), 1):
        row = encoder.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids("<fox>")]
        assert set(row.tolist()) == {float(value)}
    with pytest.raises(ModelError, match="has learned words for a text_encoder_2, which"):
        build_prior("stable-diffusion", str(root / "sd"), adaptation=str(tmp_path))


def test_a_refiner_is_refused_before_its_weights_are_loaded(
    root: Path, sdxl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DiffusionPipeline

    folder = root / "refiner"
    folder.mkdir()
    index = json.loads((root / "sdxl" / "model_index.json").read_text())
    none = [None, None]
    changed = {**index, "_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": none, "tokenizer": none}
    (folder / "model_index.json").write_text(json.dumps(changed))
    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(ModelError, match="is an SDXL refiner, without the first text encoder: give the base"):
        build_prior("stable-diffusion", str(folder))


def test_settings_that_cannot_be_are_refused(sd: Any) -> None:
    z = sd.encode(pictures(1), [1])
    how: dict[str, Any] = {"guidance_scale": 4.0, "seeds": [1]}
    with pytest.raises(ConfigError, match=r"strength must be in \(0, 1\], got 3"):
        sd.diffuse(z, ["a"], strength=3, steps=4, **how)
    with pytest.raises(ConfigError, match="leaves no denoising step"):
        sd.diffuse(z, ["a"], strength=0.1, steps=4, **how)
    with pytest.raises(ConfigError, match="did you mean 'ddim'"):
        sd.diffuse(z, ["a"], strength=0.5, steps=4, scheduler="dimm", **how)
    with pytest.raises(ConfigError, match="2 prompts for 1 images"):
        sd.diffuse(z, ["a", "b"], strength=0.5, steps=4, **how)

    class Stubborn:
        def set_timesteps(self, steps: int, device: str) -> None: ...

    with pytest.raises(ConfigError, match="cannot start from an image"):
        start(Stubborn(), 4, 0.5, "cpu")


def test_mae_rebuilds_what_transformers_rebuilds(mae: Any) -> None:
    images = pictures(2)
    order = torch.arange(16.0).expand(2, -1)
    whole = mae.model(mae._normalised(images), noise=order)
    expected = (mae.model.unpatchify(whole.logits) * mae.std + mae.mean).clamp(0, 1)
    assert torch.allclose(mae.decode(mae.encode(images), images), expected, atol=1e-6)
    assert mae.encode(images).shape == (2, 17, 16)


def test_mae_puts_the_seeds_statistics_back(root: Path) -> None:
    """The target of a checkpoint with normalised pixels, undone, is the picture itself (float64, plain loop)."""
    prior = build_prior("mae", str(tiny_mae(root / "norm", norm_pix_loss=True)))
    patches = prior.model.patchify(prior._normalised(pictures(1))).double()[0]
    normalised = torch.stack([(p - p.mean()) / (p.var() + 1e-6) ** 0.5 for p in patches])
    assert torch.allclose(unnormalise_patches(normalised[None], patches[None])[0], patches, atol=1e-9)
    plain = build_prior("mae", str(tiny_mae(root / "plain")))
    latents = prior.encode(pictures(1))
    assert not torch.allclose(prior.decode(latents, pictures(1)), plain.decode(latents, pictures(1)), atol=1e-3)


@pytest.mark.parametrize("name", ["unclip", "karlo"])
@pytest.mark.parametrize("scheduler", [None, "ddim", "dpmsolver"])
def test_unclip_ignores_the_batch(name: str, scheduler: str | None, request: pytest.FixtureRequest) -> None:
    prior = request.getfixturevalue(name)
    vectors = prior.encode(pictures(3, 40))
    assert vectors.shape == (3, 16)
    how: dict[str, Any] = {"guidance_scale": 4.0, "steps": 4, "scheduler": scheduler}
    together = prior.generate(vectors, seeds=[1, 2, 3], **how)
    assert together.shape == (3, 3, 16, 16)
    assert 0 <= together.min() <= together.max() <= 1
    assert torch.allclose(together[2:], prior.generate(vectors[2:], seeds=[3], **how), atol=1e-4)
    assert not torch.allclose(together[2:], prior.generate(vectors[:1], seeds=[3], **how), atol=1e-3)


def test_stable_unclip_is_the_pipelines_own(unclip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, seeds = unclip.encode(pictures(2, 32)), [1, 2]
    ours = unclip.generate(vectors, guidance_scale=4.0, steps=4, seeds=seeds)
    pipe = unclip.pipe
    pipe.set_progress_bar_config(disable=True)
    blur = normal(seeds, "embedding", (16,))
    real = pipe.noise_image_embeddings
    monkeypatch.setattr(
        pipe,
        "noise_image_embeddings",
        lambda image_embeds, noise_level, **_: real(image_embeds=image_embeds, noise_level=0, noise=blur),
    )
    theirs = pipe(
        prompt=["", ""], image_embeds=vectors, guidance_scale=4.0, num_inference_steps=4, noise_level=0,
        latents=normal(seeds, "diffusion", (4, 8, 8)), height=16, width=16, output_type="pt",
    ).images  # fmt: skip
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_wrong_checkpoints_are_one_line(root: Path, sd: Any, mae: Any) -> None:
    cases = [
        ("stable-diffusion", str(root / "nothing-here"), "not found"),
        ("stable-diffusion", str(root / "mae"), "cannot load"),
        ("unclip", str(root / "sd"), "must be one of StableUnCLIPImg2ImgPipeline"),
        ("mae", str(root / "sd"), "cannot load a ViTMAE"),
    ]
    for family, place, words in cases:
        with pytest.raises(ModelError, match=words) as caught:
            build_prior(family, place)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean 'stable-diffusion'"):
        build_prior("stable-difusion", "nano")
    with pytest.raises(ConfigError, match="dtype must be one of"):
        build_prior("mae", str(root / "mae"), dtype="int8")
    with pytest.raises(ModelError, match="latents must be"):
        mae.decode(torch.zeros(1, 5, 16), pictures(1))


def test_half_precision_stays_close(root: Path, sd: Any) -> None:
    half = build_prior("stable-diffusion", str(root / "sd"), dtype="bfloat16")
    latents = sd.encode(pictures(2), [1, 2])
    how: dict[str, Any] = {"strength": 0.5, "guidance_scale": 3.0, "steps": 6, "seeds": [1, 2]}
    a, b = sd.diffuse(latents, ["a", "b"], **how), half.diffuse(latents, ["a", "b"], **how)
    assert b.dtype == torch.float32
    assert (a - b).abs().mean() < 0.05 * a.std()
    assert (sd.decode(a) - half.decode(a)).abs().mean() < 0.02


@pytest.mark.integration
@pytest.mark.parametrize("family", ["stable-diffusion", "mae", "unclip"])
def test_compiled_priors_make_the_same_images(family: str, root: Path, sd: Any, mae: Any, unclip: Any) -> None:
    plain, folder = {"stable-diffusion": (sd, "sd"), "mae": (mae, "mae"), "unclip": (unclip, "unclip")}[family]
    compiled = build_prior(family, str(root / folder), compile=True)

    def made(prior: Any) -> torch.Tensor:
        images = pictures(2, 40)
        if family == "mae":
            return prior.decode(prior.encode(images), images)
        if family == "unclip":
            return prior.generate(prior.encode(images), guidance_scale=3.0, steps=3, seeds=[1, 2])
        latents = prior.encode(images, [1, 2])
        return prior.diffuse(latents, ["a", "b"], strength=0.7, guidance_scale=3.0, steps=4, seeds=[1, 2])

    assert torch.allclose(made(plain), made(compiled), atol=1e-3)


def test_a_lora_of_diffusers_is_merged(root: Path, sd: Any, tmp_path: Path) -> None:
    """The file that diffusers' training scripts write: W + B A, as a file or in its folder, and nothing is ignored."""
    from diffusers import StableDiffusionPipeline

    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    before = sd.unet.get_submodule(name).weight.detach()
    a, b = torch.randn(2, before.shape[1]), torch.randn(before.shape[0], 2)
    layers = {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    StableDiffusionPipeline.save_lora_weights(tmp_path / "lora", unet_lora_layers=layers)
    for path in (tmp_path / "lora", tmp_path / "lora" / "pytorch_lora_weights.safetensors"):
        tuned = build_prior("stable-diffusion", str(root / "sd"), adaptation=str(path))
        torch.testing.assert_close(tuned.unet.get_submodule(name).weight, before + b @ a)
        assert tuned.adaptation.parts == ("lora",)
        assert not tuned.adaptation.conditioning
        assert not any(p.requires_grad for p in tuned.unet.parameters())
    other = {f"{name.replace('mid', 'no')}.lora_{part}.weight": value for part, value in (("A", a), ("B", b))}
    StableDiffusionPipeline.save_lora_weights(tmp_path / "other", unet_lora_layers=other)
    with pytest.raises(ModelError, match=r"adaptation .* does not fit this prior"):
        build_prior("stable-diffusion", str(root / "sd"), adaptation=str(tmp_path / "other"))


def test_adaptations_load(root: Path, sd: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file

    fresh = lambda: build_prior("stable-diffusion", str(root / "sd"))  # noqa: E731
    how: dict[str, Any] = {"strength": 1.0, "guidance_scale": 4.0, "steps": 2, "seeds": [1]}
    base = sd.diffuse(None, ["a cat"], **how)

    changed = fresh()
    with torch.no_grad():
        changed.unet.conv_out.weight.mul_(2)
    changed.unet.save_pretrained(tmp_path / "whole" / "unet")
    expected = changed.diffuse(None, ["a cat"], **how)
    adapted = build_prior("stable-diffusion", str(root / "sd"), adaptation=str(tmp_path / "whole"))
    assert torch.allclose(adapted.diffuse(None, ["a cat"], **how), expected, atol=1e-5)
    assert not torch.allclose(expected, base, atol=1e-2)

    lora = get_peft_model(fresh().unet, LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    lora.save_pretrained(str(tmp_path / "lora" / "unet"))
    tuned = fresh()
    tuned.load_adaptation(str(tmp_path / "lora"))
    assert tuned.adaptation.parts == ("unet",)
    assert not torch.allclose(tuned.diffuse(None, ["a cat"], **how), base, atol=1e-3)

    worded = fresh()
    save_file({"<fox>": torch.randn(2, 16)}, str(tmp_path / "learned_embeds.safetensors"))
    worded.load_adaptation(str(tmp_path / "learned_embeds.safetensors"))
    assert worded.adaptation.words == {"<fox>": "<fox> <fox>_1"}
    two = worded.embed_prompts(["a <fox>"]).hidden
    worded.text.words = {}
    worded.text.cache.clear()
    assert torch.equal(two, worded.embed_prompts(["a <fox> <fox>_1"]).hidden)  # a word of two vectors is two tokens
    assert not torch.allclose(worded.embed_prompts(["a <fox>"]).hidden, worded.embed_prompts(["a fox"]).hidden)
    assert torch.allclose(worded.embed_prompts(["a cat"]).hidden, sd.embed_prompts(["a cat"]).hidden, atol=1e-6)

    with pytest.raises(ModelError, match="holds none of"):
        fresh().load_adaptation(str(root))
    with pytest.raises(ModelError, match="not found"):
        fresh().load_adaptation(str(tmp_path / "gone"))


def test_files_that_change_nothing_are_refused(
    root: Path, sd: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A classifier's weights, an untrained LoRA; a web interface's embedding is read, and its word is said."""
    from safetensors.torch import save_file

    fresh = build_prior("stable-diffusion", str(root / "sd"))
    save_file({"fc.weight": torch.randn(10, 512)}, str(tmp_path / "classifier.safetensors"))
    with pytest.raises(ModelError, match=r"is no LoRA and holds no learned word, only fc.weight: nothing would change"):
        fresh.load_adaptation(str(tmp_path / "classifier.safetensors"))
    up, down = torch.zeros(4, 2), torch.randn(2, 4)
    save_file({"unet.a.lora.up.weight": up, "unet.a.lora.down.weight": down}, str(tmp_path / "lora.safetensors"))
    with pytest.raises(ModelError, match="changes nothing: the second matrix of every update is zero"):
        fresh.load_adaptation(str(tmp_path / "lora.safetensors"))
    save_file({"emb_params": torch.randn(2, 16)}, str(tmp_path / "moss.safetensors"))
    fresh.load_adaptation(str(tmp_path / "moss.safetensors"))
    assert "has learned words: put <moss> <moss>_1 into a prompt, or nothing changes" in caplog.text
    assert not torch.equal(fresh.embed_prompts(["<moss>"]).hidden, sd.embed_prompts(["moss"]).hidden)
