"""TensorBoard: event files in `<folder>/tensorboard/`, read by `tensorboard --logdir <folder>`."""

from __future__ import annotations

import os
from collections.abc import Mapping


class TensorBoard:
    """One folder of event files."""

    def __init__(self, folder: str, name: str, settings: Mapping[str, str | int | float | bool | None]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(os.path.join(folder, "tensorboard"))
        lines = [f"    {key}: {value}" for key, value in settings.items()]
        self._writer.add_text(name, "\n".join(lines))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Everything is on disk."""
        self._writer.close()
