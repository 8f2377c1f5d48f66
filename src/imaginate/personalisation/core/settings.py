"""The settings that every technique shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How any technique is trained. RET section 3.2 where nothing else is said."""

    batch: int = setting(16, "images a forward pass", ge=1)
    accumulate: int = setting(1, "forward passes an optimiser step", ge=1)
    scale_rate: bool = setting(True, "scale the learning rate with the square root of the batch", source="RET 3.2")
    held_out: float = setting(0.1, "share of each class held out for the validation loss", ge=0, lt=1)
    draws: int = setting(4, "noise levels per held-out image in the validation loss", ge=1)
    patience: int = setting(3, "epochs without a better validation loss before stopping", ge=1)
    flip: bool = setting(True, "train on mirrored images too")
    ema: float = setting(0.0, "decay of the running mean of the learnt weights; 0 is off", ge=0, lt=1)
    clip: float = setting(1.0, "largest gradient norm; 0 is off", ge=0)
    precision: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", "working precision (weights stay float32)"
    )
    max_steps: int | None = setting(None, "stop after this many optimiser steps", ge=1)
    save_every: int = setting(500, "optimiser steps between saved states, besides every epoch", ge=1)
    sheet_every: int | None = setting(
        None, "epochs between sample sheets; none: after epochs 1, 2, 4, 8, ...; 0: no sheet", ge=0
    )
    sheet_steps: int = setting(25, "denoising steps of the sheets", ge=1)
    seed: int = setting(0, "seed of the order, the noise and the held-out choice", ge=0)

    def __post_init__(self) -> None:
        check(self)
