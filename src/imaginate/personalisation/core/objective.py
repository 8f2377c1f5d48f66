"""The default diffusion objective: predict the noise (or velocity, or image) that was mixed into a latent.

Ho et al. 2020, Eq. 14, on latents (Rombach et al. 2022); RET section 3.2 trains every technique on it. The noise table
is the checkpoint's own, whatever scheduler it samples with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from imaginate.errors import ConfigError
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal, stream
from imaginate.personalisation.core.networks import as_stable_diffusion
from imaginate.personalisation.core.plan import Batch, Condition, TunablePrior


class Objective:
    """Mean squared error of the denoiser's prediction at random noise levels."""

    def __init__(self, prior: TunablePrior) -> None:
        scheduler = prior.noise_scheduler
        self.prior = prior
        self.kept = scheduler.alphas_cumprod.to(prior.device).float()
        self.kind = scheduler.config.get("prediction_type") or "epsilon"
        if self.kind not in ("epsilon", "v_prediction", "sample"):
            raise ConfigError(f"prior must predict epsilon, v_prediction or sample, {prior.name} predicts {self.kind}")

    def arguments(self, batch: Batch, condition: Condition) -> dict[str, Any]:
        """The denoiser's keyword arguments."""
        if isinstance(condition, Conditioning):
            return as_stable_diffusion(self.prior).arguments(condition, batch.sizes)
        return condition

    def loss(self, batch: Batch, condition: Condition, noise: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """(b,): the error of each image at its noise level `levels` (b,), with `noise` (b, c, h, w) mixed in."""
        share = self.kept[levels].view(-1, 1, 1, 1)
        mixed = share.sqrt() * batch.clean + (1 - share).sqrt() * noise
        unet = self.prior.denoiser
        out = unet(mixed.to(unet.dtype), levels, return_dict=False, **self.arguments(batch, condition))[0]
        out = out[:, : batch.clean.shape[1]].float()
        error: torch.Tensor = (out - self._target(batch.clean, noise, share)).square().mean(dim=(1, 2, 3))
        return error

    def _target(self, clean: torch.Tensor, noise: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        if self.kind == "epsilon":
            return noise
        if self.kind == "sample":
            return clean
        return share.sqrt() * noise - (1 - share).sqrt() * clean

    def draw(self, batch: Batch, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and noise levels of a training step."""
        noise = torch.randn(batch.clean.shape, generator=generator)
        levels = torch.randint(len(self.kept), (len(batch.clean),), generator=generator)
        return noise.to(batch.clean.device), levels.to(batch.clean.device)

    def fixed(self, batch: Batch, draw: int, draws: int, seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and levels of the validation loss: each image's own, the same in every epoch, levels spread evenly."""
        noise = normal(seeds, f"validation/{draw}", batch.clean.shape[1:])
        parts = [torch.rand((), generator=stream(seed, f"level/{draw}")) for seed in seeds]
        levels = ((draw + torch.stack(parts)) / draws * len(self.kept)).long().clamp(max=len(self.kept) - 1)
        return noise.to(batch.clean.device), levels.to(batch.clean.device)
