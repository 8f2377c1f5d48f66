"""What every registered prior must hold. A new file in `models/priors/` is found and tested here without a change."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from imaginate import registry
from imaginate.contract import DiffusionPrior, EditPrior, MaePrior, UnclipPrior
from imaginate.errors import ConfigError, ModelError
from imaginate.models.priors import build_prior
from roles import PRIOR_ROWS, prior_of
from support.memory import kept_by

torch.set_num_threads(1)
NAMES = registry.names("priors")
# What pipelines that are driven as they are promise is held at level 1 by test_image_to_image.py, too.
ROWS = [*NAMES, "sdxl", *(pytest.param(n, marks=pytest.mark.integration) for n in PRIOR_ROWS if n != "sdxl")]
FAMILY = {"sd3": "image-to-image", "schnell": "image-to-image", "z_image": "image-to-image"}


@pytest.fixture(scope="module", params=ROWS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def prior(name: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prior_of(name, tmp_path_factory)


def pictures(count: int, height: int = 20, width: int = 30) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(7))


def latents_of(prior: Any, images: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """What the prior imagines in."""
    if isinstance(prior, DiffusionPrior):
        start = prior.encode(images, seeds)
        prompts = ["a cat"] * len(seeds)
        return prior.diffuse(start, prompts, strength=0.5, guidance_scale=4.0, steps=4, seeds=seeds)
    if isinstance(prior, EditPrior):
        return images
    return prior.encode(images)


def drawn(prior: Any, latents: torch.Tensor, images: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Images of these latents."""
    if isinstance(prior, EditPrior):
        how = {"guidance_scale": 4.0, "steps": 4}
        how |= {"image_guidance_scale": 1.5} if "image_guidance_scale" in prior.known else {}
        return prior.edit(latents, ["make it a cat"] * len(seeds), seeds=seeds, **how)
    if isinstance(prior, UnclipPrior):
        return prior.generate(latents, guidance_scale=4.0, steps=4, seeds=seeds)
    return prior.decode(latents, images) if isinstance(prior, MaePrior) else prior.decode(latents)


def imagined(prior: Any, images: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    return drawn(prior, latents_of(prior, images, seeds), images, seeds)


def test_declaration(name: str, prior: Any) -> None:
    family = FAMILY.get(name, PRIOR_ROWS.get(name, name))
    assert prior.family == family
    assert len(registry.summary(registry.find("priors", family))) > 20
    assert sum(isinstance(prior, kind) for kind in (DiffusionPrior, EditPrior, MaePrior, UnclipPrior)) == 1
    assert prior.device == "cpu"
    assert prior.name
    assert not prior.is_adapted
    networks = prior.networks()
    assert networks
    for network in networks.values():
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize("size", [(1, 1), (20, 30)])
def test_images_of_any_size_become_images_of_its_own(prior: Any, size: tuple[int, int]) -> None:
    out = imagined(prior, pictures(2, *size), [1, 2])
    assert out.shape == (2, 3, prior.image_size, prior.image_size)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert 0 <= out.min() <= out.max() <= 1
    assert not out.requires_grad


def test_the_same_call_gives_the_same_bits_whatever_came_before(prior: Any) -> None:
    images, seeds = pictures(4), [1, 2, 3, 4]
    first = imagined(prior, images, seeds)
    imagined(prior, images[:1], [9])
    assert torch.equal(first, imagined(prior, images, seeds))


def test_the_batch_does_not_matter_and_the_seed_does(prior: Any) -> None:
    images, seeds = pictures(3), [1, 2, 3]
    together = imagined(prior, images, seeds)
    assert torch.allclose(together[1:2], imagined(prior, images[1:2], [2]), atol=2e-4)
    backwards = imagined(prior, images.flip(0), seeds[::-1]).flip(0)
    assert torch.allclose(together, backwards, atol=2e-4)
    if not isinstance(prior, MaePrior):
        assert not torch.allclose(together[1:2], imagined(prior, images[1:2], [5]), atol=1e-3)


def test_decoding_passes_the_gradient_to_the_latents_and_to_no_weight(prior: Any) -> None:
    if isinstance(prior, UnclipPrior | EditPrior):
        return  # guided in its embedding space, or not at all: nothing is decoded meanwhile
    images, seeds = pictures(2), [1, 2]
    latents = latents_of(prior, images, seeds).requires_grad_()
    out = drawn(prior, latents, images, seeds)
    (gradient,) = torch.autograd.grad(out.sum(), latents)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_memory_stays_flat_over_batches(prior: Any) -> None:
    assert kept_by(lambda: imagined(prior, pictures(2), [1, 2])) == 0


def test_a_network_can_be_replaced(name: str, prior: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    other, images = prior_of(name, tmp_path_factory), pictures(1)
    before = imagined(other, images, [1])
    for part, network in prior.networks().items():
        other.put_network(part, network)
    assert all(other.networks()[part] is network for part, network in prior.networks().items())
    assert torch.equal(imagined(other, images, [1]), before)


def test_the_gradient_micro_batch_shrinks_to_one(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    batch = prior_of(name, tmp_path_factory).batch
    assert sum(1 for _ in iter(batch.shrink, False)) < 32
    assert not batch.shrink()


def test_half_precision_computes_and_stays_close(
    name: str, prior: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    half = prior_of(name, tmp_path_factory, dtype="bfloat16")
    images, seeds = pictures(2), [1, 2]
    assert (imagined(prior, images, seeds) - imagined(half, images, seeds)).abs().mean() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_loaded_is_one_line(name: str) -> None:
    with pytest.raises(ModelError, match=r"prior folder not found: \./nowhere"):
        build_prior(name, "./nowhere")
    with pytest.raises(ConfigError, match="dtype must be one of float32, bfloat16, float16, got 'int8'"):
        build_prior(name, "nano", dtype="int8")
    with pytest.raises(ModelError) as caught:
        build_prior(name, "somebody/no-such-model")
    assert "\n" not in str(caught.value)
    assert "somebody/no-such-model" in str(caught.value)
