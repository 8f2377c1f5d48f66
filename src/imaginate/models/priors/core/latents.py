"""What priors in the latent space of an autoencoder share: images in and out, in micro-batches, a draw an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from imaginate.errors import ConfigError
from imaginate.models.priors.core.codec import moments, scaled, vae_decode, vae_posterior
from imaginate.models.priors.core.memory import Batches
from imaginate.ops.chunks import in_chunks
from imaginate.ops.noise import normal
from imaginate.ops.pixels import resize


class InLatents(ABC):
    """A prior whose images are latents (b, c, h, w) of an autoencoder of diffusers."""

    name: str
    device: str
    channels: int
    latent_size: int
    image_size: int
    batch: Batches

    @property
    @abstractmethod
    def autoencoder(self) -> Any:
        """The autoencoder as it is now."""

    @torch.no_grad()
    def encode(self, images: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, c, s/f, s/f) float32: one sample of the posterior, one random seed an image."""
        pixels = resize(images, self.image_size)
        noise = normal(seeds, "posterior", (self.channels, self.latent_size, self.latent_size)).to(self.device)

        def work(part: slice) -> torch.Tensor:
            mean, std = moments(self.autoencoder, pixels[part].to(self.device))
            return (mean + std * noise[part]).float()

        latents, self.batch.encode = in_chunks(work, len(pixels), self.batch.encode, what=self._one())
        return scaled(self.autoencoder, latents)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, 3, s, s) in [0, 1], float32. With gradients, micro-batches are recomputed backwards."""
        if not (torch.is_grad_enabled() and latents.requires_grad):
            with torch.no_grad():
                work = lambda part: self._decode(latents[part])  # noqa: E731
                images, self.batch.decode = in_chunks(work, len(latents), self.batch.decode, what=self._one())
                return images
        parts = torch.split(latents, self.batch.gradient)
        if len(parts) == 1:
            return self._decode(latents)
        return torch.cat([checkpoint(self._decode, part, use_reentrant=False) for part in parts])

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        return vae_decode(self.autoencoder, latents.to(self.device))

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them, (b, c, h, w)."""
        return vae_posterior(self.autoencoder, pixels.to(self.device))

    def _one(self) -> str:
        return f"one image of {self.image_size} px in {self.name} on {self.device}"


def check_level(strength: float, noise: float | None) -> None:
    """ConfigError for a level of noise outside (0, 1]."""
    word, value = ("strength", strength) if noise is None else ("noise", noise)
    if not 0 < value <= 1:
        raise ConfigError(f"{word} must be in (0, 1], got {value:g}")


def is_pure(strength: float, noise: float | None) -> bool:
    """Whether nothing of the image is left at the start."""
    return (strength if noise is None else noise) >= 1
