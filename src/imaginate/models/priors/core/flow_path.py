"""The deterministic path of a pipeline of flow matching over its own levels of noise, which can be gone both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from imaginate.errors import ConfigError
from imaginate.models.priors.core.flow import Start, is_flow
from imaginate.models.priors.core.velocity import UNGUIDED, Velocity
from imaginate.ops.conditioning import Conditioning
from imaginate.ops.inversion import Prediction


@dataclass(frozen=True)
class FlowPath:
    """The levels (n + 1) from pure noise to 0, as the pipeline spaces and shifts them."""

    levels: tuple[float, ...]

    @classmethod
    def of(cls, start: Start, name: str) -> FlowPath:
        """Of a run that was set to begin at pure noise. ConfigError for one that is no flow matching."""
        if not is_flow(start.scheduler):
            raise ConfigError(f"{name} is no flow matching ({type(start.scheduler).__name__}), and cannot be inverted")
        return cls(tuple(float(level) for level in start.scheduler.sigmas))

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.levels) - 1

    def velocity_by(
        self, ask: Velocity, network: Any, rows: Conditioning, negative: Conditioning | None, scale: float
    ) -> Prediction:
        """The velocity of latents at the level of a step. (An inversion asks at the level that it goes to: that of the
        step which it undoes.) A scale over 1 is classifier-free guidance against one row of `negative`; without it, it
        is an input of the network."""

        def velocity(x: torch.Tensor, step: int) -> torch.Tensor:
            levels = torch.full((len(x),), self.levels[step], device=x.device)
            found = ask(network, x, levels, rows, UNGUIDED if negative is not None else scale)
            if negative is not None and scale > 1:
                other = ask(network, x, levels, negative.repeat(len(x)))
                found = other + scale * (found - other)
            return found

        return velocity
