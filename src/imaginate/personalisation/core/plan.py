"""The two things that a technique exchanges with the loop.

`Task` is what a technique is given, `Learner` what it gives back: which tensors learn, what the denoiser is told, and
how the result is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from imaginate.ops.conditioning import Conditioning
from imaginate.personalisation.core.settings import FitPlan
from imaginate.records import Image, LabelSpace

__all__ = ["Batch", "FitPlan", "Group", "Learner", "Task", "Told"]
Told: TypeAlias = Conditioning | dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Some training images: clean latents (b, c, h, w), labels (b,), rows of the image table (b,), mirrored (b,), and
    how each was made, `sizes` (b, 6): see `imaginate.personalisation.core.images.made`."""

    clean: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    flips: torch.Tensor
    sizes: torch.Tensor


@dataclass(frozen=True)
class Task:
    """What a technique is given. `image(row)` reads one usable training image, (3, h, w) uint8; `rows` are all of
    them, `train` those that are not held out; `labels_of[row]` is the label; `progress` asks for bars."""

    prior: Any
    labels: LabelSpace
    labels_of: torch.Tensor
    train: Sequence[int]
    image: Callable[[int], Image]
    plan: FitPlan
    device: str
    progress: bool = False

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

    condition(batch, generator) -> what the denoiser is told of each image, as a Conditioning; of another family than
    Stable Diffusion, as keyword arguments of the denoiser.
    save(folder) writes the learnt tensors in the ecosystem's formats. imagine(labels, rows, seeds, plan) -> images
    for a sheet, where the family's own way does not do. close() puts the prior back together.
    """

    groups: dict[str, Group]
    condition: Callable[[Batch, torch.Generator], Told]
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
