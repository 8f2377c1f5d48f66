"""Whether every weight of a pipeline was in its files: what is missing would be drawn anew each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from imaginate.errors import ModelError
from imaginate.models import hub


def check_whole(pipe: Any, place: str, spec: str) -> None:
    """ModelError, which names a part and a weight of it, where the files of a pipeline lack some."""
    folder = Path(place) if Path(place).is_dir() else hub.snapshot(spec)
    if folder is None:
        return
    for part, module in pipe.components.items():
        files = sorted((folder / part).glob("*.safetensors"))
        if not isinstance(module, torch.nn.Module) or not files:
            continue
        if missing := _missing(module, files):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ModelError(f"{spec} has no weights for {missing[0]}{more} of its {part}: fetch it whole")


def _missing(module: torch.nn.Module, files: list[Path]) -> list[str]:
    """The weights of a network that its files do not hold, under any name: libraries rename some as they read them."""
    from safetensors import safe_open

    held: set[str] = set()
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            held |= {name for name in opened.keys() if not name.endswith("position_ids")}  # noqa: SIM118 - no dict
    state = module.state_dict()
    there = {tensor.data_ptr() for name, tensor in state.items() if name in held}
    missing = [name for name, tensor in state.items() if name not in held and tensor.data_ptr() not in there]
    renamed = held - set(state)
    return missing if len(renamed) < len(missing) else []
