"""The resume point of a training run: one file, replaced atomically, read with `weights_only`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from imaginate.errors import RunError
from imaginate.files import remove_file, replace_file

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance
    from torch import nn

Weights: TypeAlias = "dict[str, torch.Tensor]"

S = TypeVar("S")
NAME = "state.pt"


def copy_of(model: nn.Module) -> Weights:
    """The weights, as they are now."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def save(
    folder: Path, key: str, state: DataclassInstance, model: nn.Module, optimizer: torch.optim.Optimizer, best: Weights
) -> None:
    """Write everything that the next update depends on."""
    import torch

    values = {
        "key": key,
        "state": asdict(state),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": best,
    }
    replace_file(folder / NAME, lambda partial: torch.save(values, partial))


def resume(
    folder: Path, key: str, kind: type[S], model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[S, Weights]:
    """The state and best weights where a run was stopped; a fresh state where there is none."""
    import torch

    path = folder / NAME
    if not path.exists():
        return kind(), copy_of(model)
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RunError(f"cannot read {path}: {type(error).__name__}; delete it to train this one again") from error
    if not isinstance(saved, dict) or not saved.keys() >= {"key", "state", "model", "optimizer", "best"}:
        raise RunError(f"cannot read {path}: it is not a resume point; delete it to train this one again")
    if saved["key"] != key:
        raise RunError(f"{path} belongs to another training run; delete it to train this one again")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    values = saved["state"]
    values["best"] = tuple(values["best"])
    return kind(**values), saved["best"]


def drop(folder: Path) -> None:
    """Remove the resume point of a finished run."""
    remove_file(folder / NAME)
