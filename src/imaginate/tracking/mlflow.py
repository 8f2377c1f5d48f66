"""MLflow: a run of the experiment `imaginate` (MLFLOW_EXPERIMENT_NAME names another) at MLFLOW_TRACKING_URI, which may
be a local file."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any


class MLflow:
    """One run."""

    def __init__(self, folder: str, name: str, settings: Mapping[str, str | int | float | bool | None]) -> None:
        self._client: Any = importlib.import_module("mlflow")
        self._client.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "imaginate"))
        self._client.start_run(run_name=name)
        self._client.log_params({"folder": folder, **settings})

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at one step."""
        self._client.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """The run is finished."""
        self._client.end_run()
