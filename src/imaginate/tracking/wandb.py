"""Weights & Biases: a run of the project `imaginate` (WANDB_PROJECT names another); WANDB_MODE=offline keeps it in
`<folder>/wandb/` for `wandb sync`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any


class WandB:
    """One run."""

    def __init__(self, folder: str, name: str, settings: Mapping[str, str | int | float | bool | None]) -> None:
        client: Any = importlib.import_module("wandb")
        project = os.environ.get("WANDB_PROJECT", "imaginate")
        self._run = client.init(project=project, name=name, dir=folder, config=dict(settings), reinit="finish_previous")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at one step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """The run is finished, and uploaded where it is on-line."""
        self._run.finish()
