"""Images to latents and back through a VAE of diffusers, scaled as the denoiser was trained on them."""

from __future__ import annotations

from typing import Any

import torch


def scale_and_shift(vae: Any) -> tuple[float, float]:
    """Latents of the denoiser are (latents of the VAE - shift) * scale."""
    return float(vae.config.scaling_factor), float(vae.config.get("shift_factor") or 0.0)


def vae_posterior(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents (b, c, h, w), as the denoiser expects them."""
    scale, shift = scale_and_shift(vae)
    posterior = vae.encode((pixels * 2 - 1).to(vae.dtype)).latent_dist
    return (posterior.mean.float() - shift) * scale, posterior.std.float() * scale


def vae_decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) -> (b, 3, s, s) in [0, 1], float32, differentiable."""
    scale, shift = scale_and_shift(vae)
    pixels: torch.Tensor = vae.decode((latents / scale + shift).to(vae.dtype)).sample.float()
    return (pixels / 2 + 0.5).clamp(0, 1)
