"""A pipeline whose autoencoder is a tiny one (TAESD: no posterior) works as a prior in every path."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from imaginate.models.priors import build_prior
from tiny import seeded, tiny_sd, tiny_unclip
from worlds import folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Stable Diffusion of 16 px with AutoencoderTiny."""
    from diffusers import AutoencoderTiny

    root = tiny_sd(tmp_path_factory.mktemp("sd"))
    blocks: dict[str, Any] = {
        "encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8),
        "num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1),
    }  # fmt: skip
    vae = seeded(lambda: AutoencoderTiny(latent_channels=4, **blocks))
    shutil.rmtree(root / "vae")
    vae.save_pretrained(root / "vae")
    index = root / "model_index.json"
    index.write_text(index.read_text().replace("AutoencoderKL", "AutoencoderTiny"))
    return root


def test_it_encodes_diffuses_and_decodes_with_gradients(place: Path) -> None:
    prior = build_prior("stable-diffusion", str(place))
    assert prior.image_size == 16
    images = torch.rand(2, 3, 40, 24, generator=torch.Generator().manual_seed(0))
    latents = prior.encode(images, [1, 2])
    assert torch.equal(latents, prior.encode(images, [3, 4]))  # nothing is drawn
    mean, std = prior.posterior(torch.rand(1, 3, 16, 16))
    assert mean.shape == (1, 4, 8, 8)
    assert not std.any()
    moved = prior.diffuse(latents, ["a", "b"], strength=0.5, guidance_scale=2.0, steps=4, seeds=[1, 2])
    start = moved.clone().requires_grad_()
    decoded = prior.decode(start)
    assert decoded.shape == (2, 3, 16, 16)
    assert float(decoded.detach().min()) >= 0
    assert float(decoded.detach().max()) <= 1
    (gradient,) = torch.autograd.grad(decoded.sum(), start)
    assert gradient.abs().sum() > 0
    expected = prior.vae.decode(moved).sample / 2 + 0.5
    assert torch.allclose(decoded, expected.clamp(0, 1), atol=1e-5)


def test_it_can_be_fitted(place: Path, tmp_path: Path) -> None:
    from imaginate.personalisation.core.run import fit

    data = str(folder(tmp_path / "data", each=2))
    prior = build_prior("stable-diffusion", str(place))
    plan = {"max_steps": 1, "held_out": 0.0, "sheet_every": 0}
    found = fit("ft-conditioning", data, tmp_path / "fit", prior=prior, plan=plan, progress=False)
    assert found.finished


def test_the_decoder_of_unclip_takes_it_too(place: Path, tmp_path: Path) -> None:
    root = tiny_unclip(tmp_path / "unclip")
    shutil.rmtree(root / "vae")
    shutil.copytree(place / "vae", root / "vae")
    index = root / "model_index.json"
    index.write_text(index.read_text().replace("AutoencoderKL", "AutoencoderTiny"))
    prior = build_prior("unclip", str(root))
    images = prior.generate(prior.encode(torch.rand(1, 3, 32, 32)), guidance_scale=2.0, steps=2, seeds=[1])
    assert images.shape == (1, 3, 16, 16)
