"""A small held-out dataset, for the settings that the filter requires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def settings(folder: Path) -> dict[str, Any]:
    """The filter's required settings; files go into `folder`."""
    for number in range(3):
        (folder / "held" / "red").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(900 + number).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"held/red/{number}.png")
    return {"path": str(folder / "held")}
