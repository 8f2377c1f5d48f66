"""THE denoising path of every prior, on diffusers' parts: one batch of all seeds and copies, one pass for both halves
of the guidance.

Latents stay float32 between steps whatever the network's precision, so that half precision rounds each prediction
once and never accumulates.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from imaginate.models.priors.core.schedulers import noised, step_arguments
from imaginate.ops.noise import normal, stream

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def sample(
    predict: Predict,
    seeds: Sequence[int],
    shape: Sequence[int],
    scheduler: Any,
    timesteps: torch.Tensor,
    *,
    device: str,
    clean: torch.Tensor | None = None,
) -> torch.Tensor:
    """Noise of each image's own seed -> (b, *shape) clean, float32; from `clean` (b, *shape) noised where given.

    `scheduler` is a fresh one (they keep state), `timesteps` (n,) those of it that are done.
    """
    noise = normal(seeds, "diffusion", shape).to(device)
    if clean is None:
        x = noise * scheduler.init_noise_sigma
    else:
        x = noised(scheduler, clean.to(device).float(), noise, timesteps[0])
    arguments = step_arguments(scheduler, [stream(seed, "steps") for seed in seeds])
    return denoise(scheduler, timesteps, x, predict, arguments)


def free_guided(network: Predict, scale: float, dtype: torch.dtype, *, channels: int | None = None) -> Predict:
    """A prediction under classifier-free guidance, both halves in one pass of the network.

    What the network is conditioned on must be [unconditional, conditional]. Of its output only the first `channels` are
    guided: the learnt variance behind them, where there is one, is the conditional half's own.
    """

    def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        out = network(torch.cat([x, x]).to(dtype), t).float()
        if channels is None:
            return guide_free(out, scale)
        return torch.cat([guide_free(out[:, :channels], scale), out.chunk(2)[1][:, channels:]], dim=1)

    return predict


def unguided(network: Predict, dtype: torch.dtype) -> Predict:
    """A prediction under the condition alone."""
    return lambda x, t: network(x.to(dtype), t).float()


def denoise(
    scheduler: Any, timesteps: torch.Tensor, latents: torch.Tensor, predict: Predict, arguments: dict[str, Any]
) -> torch.Tensor:
    """Run the scheduler over its timesteps: (b, c, h, w) noisy -> (b, c, h, w) clean, float32."""
    wants_previous = "prev_timestep" in inspect.signature(scheduler.step).parameters
    for index, t in enumerate(timesteps):
        output = predict(scheduler.scale_model_input(latents, t), t)
        if wants_previous:
            arguments = {**arguments, "prev_timestep": timesteps[index + 1] if index + 1 < len(timesteps) else None}
        latents = scheduler.step(fitting(output, latents, scheduler), t, latents, **arguments).prev_sample
    return latents


def guide_free(both: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance: (2b, ...) holding [unconditional, conditional] -> u + scale (c - u), (b, ...)."""
    unconditional, conditional = both.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def fitting(output: torch.Tensor, latents: torch.Tensor, scheduler: Any) -> torch.Tensor:
    """Drop the learned-variance channels of a UNet that has them, unless the scheduler uses them."""
    channels = latents.shape[1]
    uses = "variance_type" in inspect.signature(type(scheduler).__init__).parameters
    if output.shape[1] == channels or (uses and str(scheduler.config.variance_type).startswith("learned")):
        return output
    return output[:, :channels]


def scale_embedding(scale: torch.Tensor, dim: int) -> torch.Tensor:
    """Sinusoidal embedding of w = guidance scale - 1 for guidance-distilled UNets (LCM): (b,) -> (b, dim)."""
    half = dim // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000.0) / (half - 1)))
    angles = scale.float()[:, None] * 1000.0 * frequencies[None].to(scale.device)
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.nn.functional.pad(embedding, (0, dim % 2))
