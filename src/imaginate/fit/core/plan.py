"""The settings that every technique shares, and the two things that a technique exchanges with the loop.

`Task` is what a technique is given, `Learner` what it gives back: which tensors learn, what the denoiser is told, and
how the result is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from imaginate.records import Image, LabelSpace
from imaginate.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How any technique is trained. RET section 3.2 where nothing else is said."""

    batch: int = setting(16, "images a forward pass", ge=1)
    accumulate: int = setting(1, "forward passes an optimiser step", ge=1)
    scale_rate: bool = setting(True, "scale the learning rate with the square root of the batch", source="RET 3.2")
    held_out: float = setting(0.1, "share of each class held out for the validation loss", ge=0, lt=1, source="RET 3.2")
    draws: int = setting(4, "noise levels per held-out image in the validation loss", ge=1)
    patience: int = setting(3, "epochs without a better validation loss before stopping", ge=1, source="RET 3.2")
    flip: bool = setting(True, "train on mirrored images too")
    ema: float = setting(0.0, "decay of the running mean of the learnt weights; 0 is off", ge=0, lt=1)
    clip: float = setting(1.0, "largest gradient norm; 0 is off", ge=0)
    precision: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", "working precision (weights stay float32)"
    )
    max_steps: int | None = setting(None, "stop after this many optimiser steps", ge=1)
    save_every: int = setting(500, "optimiser steps between saved states, beside every epoch", ge=1)
    sheet_every: int = setting(1, "epochs between sample sheets; 0 is none", ge=0)
    sheet_steps: int = setting(25, "denoising steps of the sheets", ge=1)
    seed: int = setting(0, "seed of the order, the noise and the held-out choice", ge=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Batch:
    """Some training images: clean latents (b, c, h, w), labels (b,), rows of the image table (b,), mirrored (b,)."""

    clean: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    flips: torch.Tensor


@dataclass(frozen=True)
class Task:
    """What a technique is given. `image(row)` reads one usable training image, (3, h, w) uint8; `rows` are all of
    them, `train` those that are not held out; `labels_of[row]` is the label."""

    prior: Any
    labels: LabelSpace
    labels_of: torch.Tensor
    train: Sequence[int]
    image: Callable[[int], Image]
    plan: Plan
    device: str

    @property
    def rows(self) -> range:
        """All usable images, held-out ones included."""
        return range(len(self.labels_of))


@dataclass
class Group:
    """Tensors that learn together. `table`: rows are classes that do not know one another (see RowAdam)."""

    parameters: dict[str, torch.nn.Parameter]
    rate: float
    table: bool = False
    weight_decay: float = 0.0


@dataclass
class Learner:
    """What a technique gives back.

    condition(batch, generator) -> the keyword arguments of the denoiser (`encoder_hidden_states`, ...).
    save(folder) writes the learnt tensors in the ecosystem's formats. imagine(labels, rows, seeds, plan) -> images
    for a sheet, where the family's own way does not do. close() puts the prior back together.
    """

    groups: dict[str, Group]
    condition: Callable[[Batch, torch.Generator], dict[str, Any]]
    save: Callable[[Path], None]
    imagine: Callable[..., torch.Tensor] | None = None
    close: Callable[[], None] = lambda: None
    words: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, list[int]] = field(default_factory=dict)
    template: str = ""
    notes: list[str] = field(default_factory=list)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All learnt tensors by name, in a fixed order."""
        return {f"{g}/{n}": p for g, group in self.groups.items() for n, p in group.parameters.items()}
