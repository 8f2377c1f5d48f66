"""Where a pipeline of diffusers begins: asked of the pipeline itself, which is run up to the moment that it adds noise.

Every pipeline spaces and shifts its levels of noise by a rule of its own. None of these rules is repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.contract import Beginning
from imaginate.errors import ConfigError
from imaginate.models.priors.core.schedulers import noise_share


@dataclass(frozen=True)
class Start:
    """The first timestep (1,) of a run, the scheduler as it was set for it, and how many steps follow."""

    scheduler: Any
    timestep: torch.Tensor
    steps: int

    @property
    def noise(self) -> float:
        """The share of the variance that is noise there, in latents of variance 1."""
        return noise_share(_MixesNoise(self.scheduler), self.timestep)

    def describe(self, *, is_pure: bool) -> Beginning:
        """As the contract says it."""
        depth = min(1.0, (float(self.timestep[0]) + 1) / int(self.scheduler.config.num_train_timesteps))
        return Beginning(
            noise=1.0 if is_pure else self.noise,
            depth=1.0 if is_pure else depth,
            steps=self.steps,
            scheduler=type(self.scheduler).__name__,
        )


@runtime_checkable
class ScalesNoise(Protocol):
    """A scheduler that mixes image and noise on a straight line."""

    def scale_noise(self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> torch.Tensor: ...


class _Began(Exception):
    """A pipeline was about to add noise at this timestep."""

    def __init__(self, timestep: torch.Tensor) -> None:
        super().__init__()
        self.timestep = timestep


class _MixesNoise:
    """A scheduler under the older of two names for the same thing: `add_noise`, which flow matching calls
    `scale_noise`."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def add_noise(self, clean: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Latents at the noise level of a timestep."""
        mixed: torch.Tensor
        if is_flow(self.scheduler):
            mixed = self.scheduler.scale_noise(clean, timestep, noise)
        else:
            mixed = self.scheduler.add_noise(clean, noise, timestep)
        return mixed


def is_flow(scheduler: Any) -> bool:
    """Whether it is a scheduler of flow matching, which mixes image and noise on a straight line."""
    return isinstance(scheduler, ScalesNoise)


def is_stochastic(scheduler: Any) -> bool:
    """Whether its steps draw from the global random state, which no pipeline lets one name."""
    from diffusers import FlowMatchLCMScheduler

    return bool(scheduler.config.get("stochastic_sampling")) or isinstance(scheduler, FlowMatchLCMScheduler)


def find_start(scheduler: Any, run: Callable[[Any], Any]) -> Start:
    """Where `run(scheduler)`, a call of a pipeline, begins. ConfigError where no step is left."""

    def stop_older(clean: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> None:
        raise _Began(timestep)

    def stop(clean: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> None:
        raise _Began(timestep)

    if is_flow(scheduler):
        scheduler.scale_noise = stop
    else:
        scheduler.add_noise = stop_older
    try:
        run(scheduler)
    except _Began as began:
        timestep = began.timestep.reshape(-1)[:1].cpu()
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{type(scheduler).__name__}: {str(error).splitlines()[0]}") from error
    else:
        raise ConfigError(f"{type(scheduler).__name__} never starts from an image")
    finally:
        vars(scheduler).pop("scale_noise", None)
        vars(scheduler).pop("add_noise", None)
    left = int((scheduler.timesteps.cpu() <= timestep).sum())
    return Start(scheduler, timestep, left)


def sigmas_from(first: float, steps: int) -> list[float]:
    """Levels from `first` down to one step above 0, evenly, as pipelines of flow matching space them."""
    return [float(v) for v in torch.linspace(first, first / steps, steps)]


def sigma_of(noise: float) -> float:
    """The level of flow matching at which this share of the variance is noise: sigma^2 / (sigma^2 + (1 - sigma)^2)."""
    if noise >= 1:
        return 1.0
    ratio = (noise / (1 - noise)) ** 0.5
    return float(ratio / (1 + ratio))


def odds_moved(first: float, wanted: float, found: float) -> float:
    """A level whose odds are moved as those of the level that was found must be: shifts multiply odds."""
    odds = [value / max(1 - value, 1e-9) for value in (first, wanted, found)]
    moved = odds[0] * odds[1] / odds[2]
    return moved / (1 + moved)
