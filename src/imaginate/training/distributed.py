"""Several GPUs on one classifier (`accelerate launch`): each process takes its share of every batch."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


@dataclass(frozen=True)
class Team:
    """One process among `size`. Alone, everything is the identity."""

    rank: int = 0
    size: int = 1
    accelerator: Any = None

    @property
    def main(self) -> bool:
        """Whether this process measures on the validation part and writes files."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over the team."""
        return model if self.accelerator is None else self.accelerator.prepare(model)

    def part(self, rows: np.ndarray) -> np.ndarray:
        """This process's share of a batch."""
        return rows[self.rank :: self.size]

    def share(self, state: Any) -> None:
        """Give every process the state that the main one decided on."""
        if self.accelerator is None:
            return
        from accelerate.utils import broadcast_object_list

        box = [{f.name: getattr(state, f.name) for f in fields(state)}]
        broadcast_object_list(box)
        for name, value in box[0].items():
            setattr(state, name, value)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()


SOLO = Team()


def assemble(device: str) -> tuple[Team, str]:
    """The team of this process (`accelerate launch` sets WORLD_SIZE) and its device."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return SOLO, device
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=device == "cpu")
    return Team(accelerator.process_index, accelerator.num_processes, accelerator), str(accelerator.device)
