"""Fit a prior to a dataset, then choose the checkpoint: by the lowest validation loss, or by accuracy as RET does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imaginate.data import DataSpec
from imaginate.devices import pick_device
from imaginate.personalisation.core.settings import FitPlan
from imaginate.records import Scalar
from imaginate.workflows.select_checkpoint import CheckpointSelection, check_selection, select_checkpoint

if TYPE_CHECKING:
    from imaginate.models.adaptations.folder import Manifest

SelectBy = Literal["loss", "accuracy"]


def fit(
    technique: str,
    data: str | os.PathLike[str] | DataSpec,
    out: str | os.PathLike[str],
    *,
    prior: str = "nano",
    settings: Mapping[str, Scalar] | None = None,
    plan: FitPlan | None = None,
    select_by: SelectBy = "loss",
    selection: CheckpointSelection | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Manifest:
    """Fit a technique to a dataset and write the adaptation folder `out`; returns what its adaptation.json says.

    `settings` are the technique's own, `plan` what all techniques share. The same call finishes a fit that was
    interrupted. Raises ConfigError before the fit for what the choice of the checkpoint could not do after it.
    """
    from imaginate import registry
    from imaginate.personalisation.core import run

    registry.make("techniques", technique, settings)  # what it refuses, it refuses before anything is read
    plan = plan or FitPlan()
    spec = data if isinstance(data, DataSpec) else DataSpec(path=os.fspath(data))
    selection = selection or CheckpointSelection()
    device = pick_device(device)
    if select_by == "accuracy":
        check_selection(technique, selection, plan.held_out, device)
    manifest = run.fit(
        technique, spec, Path(out), prior=prior, settings=settings, plan=plan, device=device, progress=progress
    )
    if select_by == "loss":
        return manifest
    return select_checkpoint(out, spec, prior=prior, selection=selection, device=device, progress=progress)
