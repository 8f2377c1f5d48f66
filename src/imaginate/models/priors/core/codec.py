"""Images to latents and back through a VAE of diffusers, scaled as the denoiser was trained on them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class Encoded(Protocol):
    """What a variational autoencoder makes of images: a distribution of latents. A tiny one (TAESD) gives latents."""

    latent_dist: Any


def scale_and_shift(vae: Any) -> tuple[float, float]:
    """Latents of the denoiser are (latents of the VAE - shift) * scale."""
    return float(vae.config.scaling_factor), float(vae.config.get("shift_factor") or 0.0)


def moments(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, 3, s, s) in [0, 1] -> mean and deviation of the VAE's own latents, (b, c, h, w), in its precision.

    The deviation is zero where an autoencoder has no posterior.
    """
    found = vae.encode((pixels * 2 - 1).to(vae.dtype))
    if isinstance(found, Encoded):
        return found.latent_dist.mean, found.latent_dist.std
    latents: torch.Tensor = found.latents
    return latents, torch.zeros_like(latents)


def vae_posterior(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents (b, c, h, w), as the denoiser expects them."""
    scale, shift = scale_and_shift(vae)
    mean, std = moments(vae, pixels)
    return (mean.float() - shift) * scale, std.float() * scale


def vae_decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) -> (b, 3, s, s) in [0, 1], float32, differentiable."""
    scale, shift = scale_and_shift(vae)
    pixels: torch.Tensor = vae.decode((latents / scale + shift).to(vae.dtype)).sample.float()
    return (pixels / 2 + 0.5).clamp(0, 1)
