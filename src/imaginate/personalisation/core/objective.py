"""What a denoiser learns: to predict what was mixed into a latent.

By the default diffusion objective (Ho et al. 2020, Eq. 14, on latents: Rombach et al. 2022; RET section 3.2 trains
every technique on it) the noise, velocity or image, on the checkpoint's own noise table, whatever scheduler it samples
with. By flow matching (Esser et al. 2024, section 2 and 3.1) the straight way from image to noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.errors import ConfigError
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.noise import normal, stream
from imaginate.personalisation.core.plan import Batch, Condition, TunablePrior


@runtime_checkable
class ConditionsByText(Protocol):
    """A prior of the Stable Diffusion family: its UNet takes a conditioning by several names."""

    def arguments(self, condition: Conditioning, sizes: torch.Tensor | None = None) -> dict[str, Any]: ...


class Loss(Protocol):
    """The error of a denoiser, and the noise at which it is taken."""

    def loss(self, batch: Batch, condition: Condition, noise: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """(b,): the error of each image at its noise level `levels` (b,), with `noise` (b, c, h, w) mixed in."""
        ...

    def draw(self, batch: Batch, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and noise levels of a training step."""
        ...

    def fixed(self, batch: Batch, draw: int, draws: int, seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and levels of the validation loss: each image's own, the same in every epoch, levels spread evenly."""
        ...


def objective_of(prior: TunablePrior) -> Loss:
    """What this prior's denoiser was trained on."""
    from imaginate.models.priors.core.flow import is_flow

    return FlowMatching(prior) if is_flow(prior.noise_scheduler) else Objective(prior)


class FlowMatching:
    """Mean squared error of the velocity, noise less image, at levels drawn as Esser et al. 2024 (section 3.1) do:
    logit-normal, then shifted as the checkpoint's scheduler shifts them."""

    def __init__(self, prior: TunablePrior) -> None:
        from imaginate.models.priors.core.schedulers import make_scheduler
        from imaginate.models.priors.core.velocity import velocity_of

        self.prior = prior
        self.velocity = velocity_of(prior.denoiser, prior.name)
        table = make_scheduler(None, prior.noise_scheduler).sigmas
        self.table = table[table > 0].float().to(prior.device)  # from noise to image

    def loss(self, batch: Batch, condition: Condition, noise: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """(b,): the error of each image at its noise level `levels` (b,), with `noise` (b, c, h, w) mixed in."""
        assert isinstance(condition, Conditioning)
        share = self.table[levels]
        wide = share.view(-1, 1, 1, 1)
        mixed = (1 - wide) * batch.clean + wide * noise
        out = self.velocity(self.prior.denoiser, mixed, share, condition)
        error: torch.Tensor = (out - (noise - batch.clean)).square().mean(dim=(1, 2, 3))
        return error

    def draw(self, batch: Batch, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and noise levels of a training step."""
        noise = torch.randn(batch.clean.shape, generator=generator)
        levels = self._levels(torch.randn(len(batch.clean), generator=generator))
        return noise.to(batch.clean.device), levels.to(batch.clean.device)

    def fixed(self, batch: Batch, draw: int, draws: int, seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise and levels of the validation loss: each image's own, the same in every epoch, levels spread evenly."""
        noise = normal(seeds, f"validation/{draw}", batch.clean.shape[1:])
        parts = torch.stack([torch.rand((), generator=stream(seed, f"level/{draw}")) for seed in seeds])
        levels = self._levels(torch.special.ndtri(((draw + parts) / draws).clamp(1e-4, 1 - 1e-4)))
        return noise.to(batch.clean.device), levels.to(batch.clean.device)

    def _levels(self, normals: torch.Tensor) -> torch.Tensor:
        """Standard normal numbers -> rows of the table."""
        return (torch.sigmoid(normals) * len(self.table)).long().clamp(max=len(self.table) - 1)


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
            assert isinstance(self.prior, ConditionsByText)
            return self.prior.arguments(condition, batch.sizes)
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
