"""What a denoiser of flow matching answers: one call a family, with gradients to its weights and its conditioning.

A pipeline calls its denoiser inside a loop without gradients; learning and inversion need the same call alone. SD3
takes latents as they are and levels of noise from 0 to 1000, FLUX.1 takes packed latents, positions, and levels from 0
to 1. Which way is chosen by the class of the network, once.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.errors import ConfigError
from imaginate.models.priors.core.codec import packed, unpacked
from imaginate.ops.conditioning import Conditioning

UNGUIDED = 1.0  # the scale that a guidance-distilled network is trained on: pictures as they are


class Velocity(Protocol):
    """Asks a network: noisy latents (b, c, h, w), levels of noise (b,) in [0, 1], b rows -> velocity (b, c, h, w)
    float32. `scale`: what a guidance-distilled network takes as an input."""

    def __call__(
        self,
        network: Any,
        noisy: torch.Tensor,
        levels: torch.Tensor,
        rows: Conditioning,
        scale: float = UNGUIDED,
        /,
    ) -> torch.Tensor: ...


@runtime_checkable
class Wraps(Protocol):
    """A network in the wrapping of its low-rank updates."""

    def get_base_model(self) -> Any: ...


def velocity_of(network: Any, name: str, done: str = "tuned") -> Velocity:
    """How this network is asked. ConfigError for one of a family that cannot be tuned, or what else is `done`, here."""
    from diffusers import FluxTransformer2DModel, SD3Transformer2DModel

    inner = network.get_base_model() if isinstance(network, Wraps) else network
    if isinstance(inner, SD3Transformer2DModel):
        return _ask_sd3
    if isinstance(inner, FluxTransformer2DModel):
        return _ask_flux
    raise ConfigError(
        f"{name} has a {type(inner).__name__}, which cannot be {done}: Stable Diffusion 1, 2, XL, 3 and FLUX.1 can"
    )


def _ask_sd3(
    network: Any, noisy: torch.Tensor, levels: torch.Tensor, rows: Conditioning, scale: float = UNGUIDED
) -> torch.Tensor:
    """Esser et al. 2024 (Stable Diffusion 3); it takes no scale."""
    assert rows.pooled is not None
    out: torch.Tensor = network(
        hidden_states=noisy.to(network.dtype),
        timestep=levels * 1000,
        encoder_hidden_states=rows.hidden.to(network.dtype),
        pooled_projections=rows.pooled.to(network.dtype),
        return_dict=False,
    )[0]
    return out.float()


def _ask_flux(
    network: Any, noisy: torch.Tensor, levels: torch.Tensor, rows: Conditioning, scale: float = UNGUIDED
) -> torch.Tensor:
    """Black Forest Labs 2024 (FLUX.1): patches of 2 x 2, each with its place; text has no place."""
    assert rows.pooled is not None
    count, _, height, width = noisy.shape
    asked = torch.full((count,), scale, device=noisy.device) if network.config.guidance_embeds else None
    out: torch.Tensor = network(
        hidden_states=packed(noisy).to(network.dtype),
        timestep=levels,
        guidance=asked,
        pooled_projections=rows.pooled.to(network.dtype),
        encoder_hidden_states=rows.hidden.to(network.dtype),
        txt_ids=torch.zeros(rows.hidden.shape[1], 3, device=noisy.device, dtype=network.dtype),
        img_ids=_places(height // 2, width // 2).to(noisy.device, network.dtype),
        return_dict=False,
    )[0]
    return unpacked(out, height, width).float()


def _places(height: int, width: int) -> torch.Tensor:
    """(height width, 3): nought, row and column of each patch."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1)
