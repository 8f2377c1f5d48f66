"""Another autoencoder in the place of a prior's own, and files that lack some weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from imaginate.errors import ConfigError, ModelError
from imaginate.models.priors import build_prior

torch.set_num_threads(1)


def small(folder: Path, channels: int = 4) -> Path:
    """A random AutoencoderTiny."""
    from diffusers import AutoencoderTiny

    blocks: dict[str, Any] = {
        "encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8),
        "num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1),
    }  # fmt: skip
    tiny.seeded(lambda: AutoencoderTiny(latent_channels=channels, **blocks)).save_pretrained(folder)
    return folder


def test_an_autoencoder_takes_the_place_of_another(tmp_path: Path) -> None:
    place = str(tiny.tiny_sd(tmp_path / "sd"))
    own = build_prior("stable-diffusion", place)
    other = build_prior("stable-diffusion", place, vae=str(small(tmp_path / "small")))
    images = torch.rand(1, 3, 16, 16)
    latents = other.encode(images, [1]).requires_grad_()
    decoded = other.decode(latents)
    assert torch.allclose(decoded, (other.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1), atol=1e-5)
    assert not torch.allclose(decoded, own.decode(latents), atol=1e-2)
    (gradient,) = torch.autograd.grad(decoded.sum(), latents)
    assert gradient.abs().sum() > 0
    assert not any(weight.requires_grad for weight in other.vae.parameters())
    whole = build_prior("stable-diffusion", place, vae=place)  # a pipeline's folder: its own autoencoder
    assert torch.allclose(whole.decode(latents), own.decode(latents), atol=1e-5)


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    place = str(tiny.tiny_sd(tmp_path / "sd"))
    with pytest.raises(ConfigError, match=r"does not fit .*: 16 channels at 1/2 of the size, not 4 channels"):
        build_prior("stable-diffusion", place, vae=str(small(tmp_path / "wide", 16)))
    with pytest.raises(ModelError, match="autoencoder not found"):
        build_prior("stable-diffusion", place, vae="./nowhere")
    with pytest.raises(ConfigError, match="has no autoencoder to replace: leave out --vae"):
        build_prior("mae", str(tiny.tiny_mae(tmp_path / "mae")), vae="tiny")
    with pytest.raises(ModelError, match="cannot fetch 'madebyollin/taesd' from the model hub"):
        build_prior("stable-diffusion", place, vae="tiny")


def test_a_pipeline_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    place = tiny.tiny_sdxl(tmp_path / "sdxl")
    build_prior("stable-diffusion", str(place))
    file = place / "text_encoder_2" / "model.safetensors"
    kept = {name: value for name, value in load_file(str(file)).items() if "text_projection" not in name}
    save_file(kept, str(file), {"format": "pt"})
    with pytest.raises(ModelError, match=r"has no weights for text_projection\.weight of its text_encoder_2") as caught:
        build_prior("stable-diffusion", str(place))
    assert "\n" not in str(caught.value)


def test_an_adaptation_of_the_hub_says_why_it_cannot_be_had(tmp_path: Path) -> None:
    place = str(tiny.tiny_sd(tmp_path / "sd"))
    with pytest.raises(ModelError, match="cannot fetch 'somebody/some-lora@v2' from the model hub"):
        build_prior("stable-diffusion", place, adaptation="somebody/some-lora@v2")
    with pytest.raises(ModelError, match="adaptation not found"):
        build_prior("stable-diffusion", place, adaptation="./some-lora")


def test_several_loras_have_their_scales(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    place = str(tiny.tiny_sd(tmp_path / "sd"))
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    expected = build_prior("stable-diffusion", place).unet.get_submodule(name).weight.detach().clone()
    for number, scale in enumerate((0.5, 2.0)):
        a, b = torch.randn(2, expected.shape[1]), torch.randn(expected.shape[0], 2)
        layers = {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
        StableDiffusionPipeline.save_lora_weights(tmp_path / f"lora{number}", unet_lora_layers=layers)
        expected += scale * b @ a
    both = f"{tmp_path / 'lora0'}:0.5+{tmp_path / 'lora1' / 'pytorch_lora_weights.safetensors'}:2"
    tuned = build_prior("stable-diffusion", place, adaptation=both)
    torch.testing.assert_close(tuned.unet.get_submodule(name).weight, expected)
    with pytest.raises(ModelError, match="only such take a scale, got 2"):
        build_prior("stable-diffusion", place, adaptation=f"{tmp_path / 'sd'}:2")
