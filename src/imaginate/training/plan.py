"""Everything that decides what one training run does, and the device it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from imaginate.training.augment import IMAGENET, Policy, Statistics
from imaginate.training.recipes import Recipe

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Precision = Literal["auto", "float32", "bfloat16"]
HeadKind = Literal["ridge", "logistic"]
ClassWeights = Literal["none", "balanced"]


@runtime_checkable
class Grouped(Protocol):
    """A network whose parts learn at different rates."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser; `times` the rate, 1 where it is missing."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """One classifier to train. `span`: updates between two points to resume from; `period`: updates between two
    checks on the validation part; `epoch`: updates that count as one epoch for `plateau` and `patience`; `finish`: the
    share of the updates, the last ones, that see original images alone; `head`: of a probe; `class_weights`: whether
    every image counts alike in the loss, or every class."""

    arch: str
    classes: int
    size: int
    recipe: Recipe
    updates: int
    epoch: int
    seed: int
    pretrained: bool = False
    augment: Policy = "light"
    device: str = "cpu"
    precision: Precision = "auto"
    checks: int = 25
    statistics: Statistics = IMAGENET
    finish: float = 0.0
    head: HeadKind = "ridge"
    class_weights: ClassWeights = "none"

    @property
    def span(self) -> int:
        """Updates between two resume points: an epoch, or longer so that there are `checks` in all."""
        return max(1, self.epoch, -(-self.updates // self.checks))

    @property
    def period(self) -> int:
        """Updates between two checks on the validation part: an epoch where it decides on more than the checkpoint,
        else as many as between two resume points."""
        return max(1, self.epoch) if self.recipe.watches else self.span


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """On a GPU: convolutions that give the same bits every time, at some cost in speed. A CPU's always do."""
    import torch

    if not device.startswith("cuda"):
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def arithmetic(precision: Precision, device: str) -> Literal["float32", "bfloat16"]:
    """What `auto` means on a device: bfloat16 where the hardware multiplies in it (weights stay float32)."""
    import torch

    if precision != "auto":
        return precision
    fast = torch.cuda.is_bf16_supported() if device.startswith("cuda") else torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast else "float32"


def autocast(plan: TrainPlan) -> AbstractContextManager[Any]:
    """bfloat16 where the hardware multiplies in it."""
    import torch

    if arithmetic(plan.precision, plan.device) == "float32":
        return nullcontext()
    return torch.autocast(plan.device.split(":")[0], dtype=torch.bfloat16)


def optimizer_of(model: nn.Module, plan: TrainPlan) -> Optimizer:
    """SGD with weight decay on every parameter, as in both papers."""
    import torch

    recipe = plan.recipe
    free = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    return torch.optim.SGD(
        model.parameter_groups() if isinstance(model, Grouped) else free,
        lr=recipe.peak(plan.pretrained),
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )
