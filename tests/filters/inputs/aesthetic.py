"""A linear head on embeddings of length 3, for the settings that the filter requires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def settings(folder: Path) -> dict[str, Any]:
    """The filter's required settings; files go into `folder`."""
    head = {"weight": torch.tensor([[4.0, 5.0, 6.0]]), "bias": torch.zeros(1)}
    save_file(head, folder / "head.safetensors")
    return {"head": str(folder / "head.safetensors")}
