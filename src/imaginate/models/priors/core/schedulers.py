"""Noise schedulers by name, on the checkpoint's own noise, and where a diffusion begins that starts from an image.

What a scheduler of one class is given when it is made from the configuration of another is decided here, never by the
default of a library: the noise table, what the network predicts, how timesteps are spaced. Where the checkpoint's own
class has no word for it, the `Family` says it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.contract import Beginning
from imaginate.errors import ConfigError
from imaginate.models.checkpoints import quiet
from imaginate.settings import nearest

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddim-trailing": ("DDIMScheduler", {"timestep_spacing": "trailing"}),
    "ddpm": ("DDPMScheduler", {"variance_type": "fixed_small"}),
    "dpmsolver": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}),
    "dpmsolver-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "euler": ("EulerDiscreteScheduler", {"use_karras_sigmas": False}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "euler-trailing": ("EulerDiscreteScheduler", {"use_karras_sigmas": False, "timestep_spacing": "trailing"}),
    "heun": ("HeunDiscreteScheduler", {"use_karras_sigmas": False}),
    "lcm": ("LCMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {"use_karras_sigmas": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "tcd": ("TCDScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {"use_karras_sigmas": False}),
}
# What these classes of diffusers do not compute, whatever their documentation says.
CANNOT_PREDICT = {"pndm": ("sample",), "euler-ancestral": ("sample",)}
# What a checkpoint says of its noise and its timesteps, whatever the class of its scheduler.
CARRIED = ("prediction_type", "timestep_spacing", "steps_offset", "set_alpha_to_one", "rescale_betas_zero_snr",
           "original_inference_steps", "timestep_scaling", "clip_sample_range")  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What the schedulers of a family of checkpoints do, where the class that one was saved with has no word for it.

    `clips`: predictions of the clean image are held in [-1, 1]. Pixels are there by nature, latents are not: they are
    never clipped, whatever a file says.
    """

    clips: bool
    spacing: str
    offset: int

    def default(self, key: str) -> Any:
        """The value of a key of `CARRIED` that the checkpoint's own scheduler does not have; None for the class's."""
        return {
            "prediction_type": "epsilon",
            "timestep_spacing": self.spacing,
            "steps_offset": self.offset,
            "set_alpha_to_one": True,  # classes without this word end without noise
            "rescale_betas_zero_snr": False,
        }.get(key)


LATENT = Family(clips=False, spacing="leading", offset=1)  # as SD 1.x, 2.x and XL were published
PIXEL = Family(clips=True, spacing="linspace", offset=0)  # as Karlo was


@runtime_checkable
class AddsNoise(Protocol):
    """A scheduler that can start from an image."""

    def add_noise(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class BeginsLater(Protocol):
    """A scheduler that must know where in its table the loop begins."""

    def set_begin_index(self, index: int) -> None: ...


@runtime_checkable
class HasTable(Protocol):
    """A scheduler on a table of noise levels: `alphas_cumprod[t]` is the share of the variance that is image."""

    betas: torch.Tensor
    alphas_cumprod: torch.Tensor
    config: Any


def make_scheduler(name: str | None, own: Any, family: Family = LATENT) -> Any:
    """A fresh scheduler (they keep state): the checkpoint's own for None, else the named one on its noise table.

    ConfigError, in one line, where the named class could not keep the checkpoint's noise or prediction.
    """
    if name is None:
        return _build(type(own), own.config, _unclipped(type(own), family))
    if name not in SCHEDULERS:
        raise ConfigError(f"unknown scheduler {name!r}{nearest(name, SCHEDULERS)}")
    import diffusers

    cls, overrides = getattr(diffusers, SCHEDULERS[name][0]), SCHEDULERS[name][1]
    _check_fits(name, own, cls)
    carried = {key: _of(own, key, family) for key in CARRIED}
    table = {"trained_betas": own.betas.tolist(), "num_train_timesteps": len(own.betas)}
    base = own.config if type(own) is cls else {}
    return _build(cls, base, {**carried, **table, **_clipping(family), **overrides})


def begin_at(name: str | None, own: Any, noise: float, family: Family = LATENT) -> Any:
    """A fresh scheduler whose whole schedule is below `noise`, the share of the variance that is noise at its start.

    It begins at the nearest level of the checkpoint's table: this is the last level that it knows, and its steps are
    spread over what is left, by whatever rule its class has. So the start is the same for every class and any steps.
    """
    if not isinstance(own, HasTable):
        raise ConfigError(f"noise needs a table of noise levels, which {type(own).__name__} has not: give strength")
    levels = 1 - own.alphas_cumprod.double()
    last = int((levels - noise).abs().argmin())
    whole = make_scheduler(name, own, family)
    if last == len(levels) - 1:
        return whole
    taken = _parameters(type(whole))
    if not {"trained_betas", "timestep_spacing"} <= taken:
        raise ConfigError(f"noise cannot be given with {type(whole).__name__}: choose a scheduler, or give strength")
    below: dict[str, Any] = {
        "trained_betas": own.betas[: last + 1].tolist(),
        "num_train_timesteps": last + 1,
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": False,
        "original_inference_steps": last + 1,
    }
    return _build(type(whole), whole.config, below)


def _check_fits(name: str, own: Any, cls: Any) -> None:
    """ConfigError where the class cannot keep what the checkpoint's own scheduler says."""
    what = f"scheduler {name} does not fit this prior"
    if not isinstance(own, HasTable):
        raise ConfigError(f"{what}: {type(own).__name__} has no table of noise levels to keep; give --scheduler none")
    predicted = own.config.get("prediction_type") or "epsilon"
    if predicted in CANNOT_PREDICT.get(name, ()) or predicted not in ("epsilon", "sample", "v_prediction"):
        raise ConfigError(f"{what}: it does not compute with a network that predicts {predicted!r}")
    if float(own.betas[-1]) >= 1 and "rescale_betas_zero_snr" not in _parameters(cls):
        raise ConfigError(f"{what}: its noise table ends in pure noise, which this scheduler cannot begin with")


def _of(own: Any, key: str, family: Family) -> Any:
    """What the checkpoint says of `key`, else its family; None where neither does."""
    found = own.config.get(key)
    return family.default(key) if found is None else found


def _clipping(family: Family) -> dict[str, Any]:
    return {"clip_sample": family.clips, "thresholding": False}


def _unclipped(cls: type, family: Family) -> dict[str, Any]:
    """What must not be as a file says: latents are not clipped. Clipped pixels stay as they are."""
    return {} if family.clips else _clipping(family)


def _parameters(cls: Any) -> set[str]:
    return set(inspect.signature(cls.__init__).parameters)


def _build(cls: Any, config: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """An instance from a configuration of its own class and the values that override it, where the class has them."""
    taken = _parameters(cls)
    chosen = {key: value for key, value in values.items() if key in taken and value is not None}
    try:
        with quiet():
            return cls.from_config(dict(config), **chosen)
    except (ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"scheduler {cls.__name__} does not fit this prior: {reason}") from error


def begin(
    name: str | None,
    own: Any,
    family: Family = LATENT,
    *,
    steps: int,
    strength: float = 1.0,
    noise: float | None = None,
    device: str = "cpu",
) -> tuple[Any, torch.Tensor]:
    """A fresh scheduler and the timesteps (n,) of a diffusion that starts at `strength`, or at `noise` where given.

    Strength is counted as img2img does: the last `strength * steps` of the steps of the whole schedule. Under `noise`
    all steps are done, spread over what is below it.
    """
    if noise is None or noise >= 1:
        scheduler = make_scheduler(name, own, family)
        return scheduler, start(scheduler, steps, strength if noise is None else 1.0, device)
    scheduler = begin_at(name, own, noise, family)
    return scheduler, start(scheduler, min(steps, int(scheduler.config.num_train_timesteps)), 1.0, device)


def beginning(scheduler: Any, timesteps: torch.Tensor, own: Any, *, is_pure: bool) -> Beginning:
    """Where these timesteps begin; `is_pure`: with noise alone, whatever the level of the first timestep."""
    depth = min(1.0, (float(timesteps[0]) + 1) / int(own.config.num_train_timesteps))
    share = 1.0 if is_pure else noise_share(scheduler, timesteps[0])
    return Beginning(
        noise=share, depth=1.0 if is_pure else depth, steps=len(timesteps), scheduler=type(scheduler).__name__
    )


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
        raise ConfigError(
            f"strength {strength:g} of {steps} steps leaves no denoising step: raise one of them, "
            "or give --noise (the share of noise to start with) in place of strength"
        )
    if isinstance(scheduler, BeginsLater):
        scheduler.set_begin_index(skipped)
    return timesteps


def _set_timesteps(scheduler: Any, steps: int, strength: float, device: str) -> int:
    """Fill the scheduler's table; how many of its timesteps are above the strength."""
    with quiet():
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


def noise_share(scheduler: Any, timestep: torch.Tensor) -> float:
    """The share of the variance that is noise in what `noised` gives at this timestep, for latents of variance 1."""
    one, none = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    at = timestep.cpu()
    image, noise = (float(noised(scheduler, *pair, at)) for pair in ((one, none), (none, one)))
    return noise**2 / (noise**2 + image**2)


def step_arguments(scheduler: Any, generators: list[torch.Generator]) -> dict[str, Any]:
    """Stochastic schedulers draw from each image's own generator; the others take none."""
    known = inspect.signature(scheduler.step).parameters
    return {"generator": generators} if "generator" in known else {}
