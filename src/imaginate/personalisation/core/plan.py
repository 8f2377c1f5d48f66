"""What a technique and the loop exchange.

`Task` is what a technique is given, `Learner` what it gives back: which tensors learn, what conditions the denoiser,
and how the result is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import torch

from imaginate.contract import DiffusionPrior, PriorFamily
from imaginate.ops.conditioning import Conditioning
from imaginate.personalisation.core.settings import FitPlan
from imaginate.records import Image, LabelSpace

__all__ = ["Batch", "Condition", "FitPlan", "Group", "Learner", "Task", "Technique", "TunablePrior", "TunableReader"]

# Of the denoiser: a conditioning of Stable Diffusion, or keyword arguments of another family's network.
Condition: TypeAlias = Conditioning | dict[str, Any]


class TunablePrior(PriorFamily, Protocol):
    """A diffusion prior whose denoiser can learn."""

    denoiser: Any  # the network as it is now: a LoRA may have wrapped it
    denoiser_part: str  # its name in the pipeline
    noise_scheduler: Any  # the checkpoint's own, with its noise table

    def posterior(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, 3, s, s) in [0, 1] -> mean and deviation of the latents, as the denoiser expects them."""
        ...


@runtime_checkable
class TunableReader(TunablePrior, DiffusionPrior, Protocol):
    """One that reads prompts, by text encoders that can learn too."""

    pipe: Any

    @property
    def text(self) -> Any:
        """Its tokenizers and text encoders."""
        ...

    def put_tokenizer(self, part: str, tokenizer: Any) -> None:
        """Another tokenizer for a text encoder."""
        ...

    def learning(self, prompts: Sequence[str]) -> Conditioning:
        """n prompts -> n rows; gradients reach the text encoders."""
        ...


@dataclass(frozen=True)
class Batch:
    """Some training images: clean latents (b, c, h, w), labels (b,), rows of the image table (b,), mirrored (b,), and
    how each was cut, `sizes` (b, 6): see `imaginate.personalisation.core.images.cut_of`."""

    clean: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    flips: torch.Tensor
    sizes: torch.Tensor


@dataclass(frozen=True)
class Task:
    """What a technique is given. `image(row)` reads one usable training image, (3, h, w) uint8; `rows` are all of
    them, `train` those that are not held out; `labels_of[row]` is the label; `progress` asks for bars."""

    prior: TunablePrior
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

    condition(batch, generator) -> what conditions the denoiser for each image.
    save(folder) writes the learnt tensors in the ecosystem's formats. draw(rows, seeds, steps) -> images (b, 3, s, s)
    in [0, 1] for a sheet, of these training images; None is text-to-image. close() puts the prior back together.
    """

    groups: dict[str, Group]
    condition: Callable[[Batch, torch.Generator], Condition]
    save: Callable[[Path], None]
    draw: Callable[[Sequence[int], Sequence[int], int], torch.Tensor] | None = None
    close: Callable[[], None] = lambda: None
    words: dict[str, str] = field(default_factory=dict)
    clusters: dict[str, list[int]] = field(default_factory=dict)
    template: str = ""
    notes: list[str] = field(default_factory=list)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """All learnt tensors by name, in a fixed order."""
        return {f"{g}/{n}": p for g, group in self.groups.items() for n, p in group.parameters.items()}


class Technique(Protocol):
    """A way to learn: the only public class of a file in this package, a frozen dataclass of settings.

    family: of the priors that it tunes. trains_weights: whether weights of the prior itself learn (then in float32).
    paper: a short citation. epochs, keep_first: at most so many, and the first ones whose checkpoints are all kept.
    """

    family: ClassVar[str]
    trains_weights: ClassVar[bool]
    paper: ClassVar[str]

    @property
    def epochs(self) -> int:
        """At most so many epochs."""
        ...

    @property
    def keep_first(self) -> int:
        """The first epochs whose checkpoints are all kept."""
        ...

    def build(self, task: Task) -> Learner:
        """The tensors that learn, in place in the prior."""
        ...
