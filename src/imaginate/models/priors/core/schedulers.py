"""Noise schedulers by name, and where img2img enters their timesteps (SDEdit)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.errors import ConfigError
from imaginate.settings import nearest

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {"variance_type": "fixed_small"}),
    "dpmsolver": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpmsolver-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {"use_karras_sigmas": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "tcd": ("TCDScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


@runtime_checkable
class AddsNoise(Protocol):
    """A scheduler that can start from an image."""

    def add_noise(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class BeginsLater(Protocol):
    """A scheduler that must know where in its table the loop begins."""

    def set_begin_index(self, index: int) -> None: ...


def make_scheduler(name: str | None, own: Any) -> Any:
    """A fresh scheduler (they keep state): the checkpoint's own for None, else the named one on its noise table."""
    if name is None:
        with _numpy_calm():
            return type(own).from_config(own.config)
    if name not in SCHEDULERS:
        raise ConfigError(f"unknown scheduler {name!r}{nearest(name, SCHEDULERS)}")
    import diffusers

    cls, overrides = SCHEDULERS[name]
    try:
        with _numpy_calm():
            return getattr(diffusers, cls).from_config(own.config, **overrides)
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"scheduler {name} does not fit this prior: {str(error).splitlines()[0]}") from error


@contextmanager
def _numpy_calm() -> Iterator[None]:
    """Some schedulers hand tensors to NumPy in a way that NumPy 2 deprecates; nothing a user could change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def start(scheduler: Any, steps: int, strength: float, device: str) -> torch.Tensor:
    """Set `steps` timesteps and keep the last `int(strength * steps)` of them, as img2img does; (n,) timesteps.

    Schedulers whose own table depends on the strength (LCM, TCD) take it as an argument instead.
    """
    if strength < 1 and not isinstance(scheduler, AddsNoise):
        raise ConfigError(f"{type(scheduler).__name__} cannot start from an image (no add_noise), use another one")
    try:
        skipped = _set_timesteps(scheduler, steps, strength, device)
    except ValueError as error:
        raise ConfigError(f"{type(scheduler).__name__} with {steps} steps: {str(error).splitlines()[0]}") from error
    timesteps: torch.Tensor = scheduler.timesteps[skipped:]
    if len(timesteps) == 0:
        raise ConfigError(f"strength {strength:g} of {steps} steps leaves no denoising step: raise one of them")
    if skipped and isinstance(scheduler, BeginsLater):
        scheduler.set_begin_index(skipped)
    return timesteps


def _set_timesteps(scheduler: Any, steps: int, strength: float, device: str) -> int:
    """Fill the scheduler's table; how many of its timesteps are above the strength."""
    with _numpy_calm():
        if "strength" in inspect.signature(scheduler.set_timesteps).parameters:
            scheduler.set_timesteps(steps, device=device, strength=strength)
            return 0
        scheduler.set_timesteps(steps, device=device)
    kept = min(int(steps * strength + 1e-9), steps)
    if kept == 0:
        return len(scheduler.timesteps)
    return (steps - kept) * int(scheduler.order) if kept < steps else 0


def noised(scheduler: Any, latents: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """Latents at the noise level of the first timestep: (b, c, h, w)."""
    mixed: torch.Tensor = scheduler.add_noise(latents, noise, timestep.reshape(1).repeat(len(latents)))
    return mixed


def step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """Stochastic schedulers draw from each image's own generator; the others take none."""
    known = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in known else {}
