"""Fit a prior to a dataset, then choose the checkpoint: by the lowest validation loss, or by accuracy as RET does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from imaginate.data import DataSpec
from imaginate.devices import pick_device
from imaginate.markdown import picture_and_text, table
from imaginate.models.adaptations.folder import Manifest
from imaginate.personalisation.core.settings import FitPlan
from imaginate.records import Scalar
from imaginate.workflows.select_checkpoint import CheckpointSelection, check_selection, select_checkpoint

SelectBy = Literal["loss", "accuracy"]


class Fitted(Manifest):
    """What a fit came to: all that adaptation.json says, in `folder`; a path wherever one is wanted."""

    folder: Path  # where it is; no field, so that adaptation.json does not name it

    @classmethod
    def of(cls, manifest: Manifest, folder: str | os.PathLike[str]) -> Fitted:
        """What a manifest says, with the folder that it is in."""
        fitted = cls(**{field.name: vars(manifest)[field.name] for field in fields(manifest)})
        fitted.folder = Path(folder)
        return fitted

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Fitted({self.technique!r}, {str(self.folder)!r}, checkpoint {self.chosen})"

    def __str__(self) -> str:
        """What it was fitted to, what it reached, and the checkpoint that was chosen."""
        from imaginate.personalisation.core.run import describe  # needs torch

        return describe(self, self.folder)

    def _repr_html_(self) -> str:
        """For notebooks: the last sheet of samples, where one was drawn, else the losses; and what is printed."""
        drawn = sorted((self.folder / "samples").glob("*.png"))
        if drawn:
            return picture_and_text(drawn[-1].read_bytes(), str(self))
        return table(self._rows(), str(self))

    def to_pandas(self) -> Any:
        """A row an epoch, with its losses, as a pandas data frame (pandas is not installed with imaginate)."""
        import pyarrow as pa

        return pa.Table.from_pylist(self._rows()).to_pandas()

    def _rows(self) -> list[dict[str, Any]]:
        names = dict.fromkeys(name for entry in self.history for name in entry)
        return [{name: entry.get(name) for name in names} for entry in self.history]


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
) -> Fitted:
    """Fit a technique to a dataset and write the adaptation folder `out`; returns what its adaptation.json says, as an
    object that is also the folder's path.

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
        return Fitted.of(manifest, out)
    chosen = select_checkpoint(out, spec, prior=prior, selection=selection, device=device, progress=progress)
    return Fitted.of(chosen, out)
