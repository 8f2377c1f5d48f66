"""DDIM's deterministic path over the levels of a checkpoint's own table, which can be gone both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from imaginate.models.priors.core.sampling import Predict
from imaginate.models.priors.core.schedulers import begin
from imaginate.ops.inversion import noise_in


@dataclass(frozen=True)
class Path:
    """The timesteps (n) from noise to image, the shares (n + 1) of the variance that are image at each and at the end,
    and what the network predicts."""

    timesteps: tuple[int, ...]
    shares: tuple[float, ...]
    prediction: str

    @classmethod
    def of(cls, own: Any, steps: int) -> Path:
        """As the named scheduler `ddim` spaces them on the checkpoint's table. ConfigError where it cannot."""
        scheduler, timesteps = begin("ddim", own, steps=steps)
        table = scheduler.alphas_cumprod.double()
        shares = [float(table[int(t)]) for t in timesteps]
        # A level of pure noise has no image to come from, and a clean end has no noise to go to: both are kept off 0.
        ends = [max(share, 1e-6) for share in shares] + [min(float(scheduler.final_alpha_cumprod), 1 - 1e-6)]
        return cls(tuple(int(t) for t in timesteps), tuple(ends), str(scheduler.config.prediction_type))

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.timesteps)

    def noise_by(self, predict: Predict, device: str) -> Callable[[torch.Tensor, int], torch.Tensor]:
        """The noise that a network sees in latents at the level of a step. (An inversion asks at the level that it goes
        to: that of the step which it undoes.)"""

        def noise(x: torch.Tensor, step: int) -> torch.Tensor:
            output = predict(x, torch.tensor(self.timesteps[step], device=device))[:, : x.shape[1]]
            return noise_in(output, x, self.shares[step], self.prediction)

        return noise
