"""Several GPUs on one classifier (`accelerate launch`): each process takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imaginate.ownership import own

if TYPE_CHECKING:
    import numpy as np
    from accelerate import Accelerator
    from torch import nn


@dataclass(frozen=True)
class Team:
    """One process among `size`. Alone, everything is the identity."""

    rank: int = 0
    size: int = 1
    accelerator: Accelerator | None = None

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

    def shared(self, values: Mapping[str, object]) -> Mapping[str, object]:
        """The values of the main process, in every process."""
        if self.accelerator is None:
            return values
        from accelerate.utils import broadcast_object_list

        box = [dict(values)]
        broadcast_object_list(box)
        return box[0]

    @contextmanager
    def owns(self, out: Path, command: str) -> Iterator[None]:
        """Own an output folder (`imaginate.ownership`): the main process does, and the others wait until it has it."""
        if not self.main:
            self.wait()
            yield
            return
        with own(out, command):
            self.wait()
            yield

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
