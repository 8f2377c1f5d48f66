"""Images to latents and back through an autoencoder of diffusers, scaled as the denoiser was trained on them.

Which way is chosen by the autoencoder's configuration: one scale and shift (Stable Diffusion, FLUX.1), a mean and a
deviation for each channel (Playground, Qwen-Image, whose pictures are films of one frame), or no posterior at all
(TAESD, deep compression).
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch

from imaginate.errors import ModelError

Scale: TypeAlias = float | torch.Tensor  # of all channels, or (1, c, 1, 1)


@runtime_checkable
class Encoded(Protocol):
    """What a variational autoencoder makes of images: a distribution of latents."""

    latent_dist: Any


@runtime_checkable
class Compressed(Protocol):
    """What an autoencoder of deep compression makes of images."""

    latent: torch.Tensor


def scale_and_shift(vae: Any) -> tuple[Scale, Scale]:
    """Latents of the denoiser are (latents of the VAE - shift) * scale."""
    config = vae.config
    scale = float(config.get("scaling_factor") or 1.0)
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is None or std is None:
        return scale, float(config.get("shift_factor") or 0.0)
    return scale / _per_channel(std), _per_channel(mean)


def channels_of(vae: Any) -> int:
    """The channels of its latents. ModelError for an autoencoder whose latents are not scaled in a known way."""
    found = vae.config.get("latent_channels") or vae.config.get("z_dim")
    if not found or "batch_norm_eps" in vae.config:
        raise ModelError(f"its autoencoder {type(vae).__name__} scales latents in a way that is not supported")
    return int(found)


def moments(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, 3, s, s) in [0, 1] -> mean and deviation of the VAE's own latents, (b, c, h, w), in its precision.

    The deviation is zero where an autoencoder has no posterior.
    """
    inputs = (pixels * 2 - 1).to(vae.dtype)
    found = vae.encode(inputs[:, :, None] if _takes_films(vae) else inputs)
    if isinstance(found, Encoded):
        mean, std = found.latent_dist.mean, found.latent_dist.std
        return (mean[:, :, 0], std[:, :, 0]) if _takes_films(vae) else (mean, std)
    latents: torch.Tensor = found.latent if isinstance(found, Compressed) else found.latents
    return latents, torch.zeros_like(latents)


def vae_posterior(vae: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents (b, c, h, w), as the denoiser expects them."""
    mean, std = (values.float() for values in moments(vae, pixels))
    scale, shift = (_on(value, mean) for value in scale_and_shift(vae))
    return (mean - shift) * scale, std * scale


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The VAE's own latents (b, c, h, w) -> as the denoiser expects them."""
    scale, shift = (_on(value, latents) for value in scale_and_shift(vae))
    return (latents - shift) * scale


def vae_decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) -> (b, 3, s, s) in [0, 1], float32, differentiable."""
    scale, shift = (_on(value, latents) for value in scale_and_shift(vae))
    own = (latents / scale + shift).to(vae.dtype)
    if _takes_films(vae):
        pixels: torch.Tensor = vae.decode(own[:, :, None]).sample[:, :, 0].float()
    else:
        pixels = vae.decode(own).sample.float()
    return (pixels / 2 + 0.5).clamp(0, 1)


def unpacked(latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Patches of 2 x 2 in a row (b, h w / 4, 4 c), as FLUX.1 and Qwen-Image denoise them -> (b, c, h, w)."""
    rows = latents.view(len(latents), height // 2, width // 2, -1, 2, 2)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(len(latents), -1, height, width)


def packed(latents: torch.Tensor) -> torch.Tensor:
    """(b, c, h, w) -> patches of 2 x 2 in a row (b, h w / 4, 4 c): what `unpacked` undoes."""
    count, channels, height, width = latents.shape
    rows = latents.view(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return rows.reshape(count, height * width // 4, channels * 4)


def _takes_films(vae: Any) -> bool:
    """Whether pictures are films of one frame to it: five dimensions."""
    return "z_dim" in vae.config


def _per_channel(values: Any) -> torch.Tensor:
    return torch.tensor([float(v) for v in torch.as_tensor(values).flatten()]).view(1, -1, 1, 1)


def _on(value: Scale, latents: torch.Tensor) -> Scale:
    return value.to(latents.device) if isinstance(value, torch.Tensor) else value
