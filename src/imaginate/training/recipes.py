"""Training schedules: the two papers', and a modern default. A schedule is a pure function of the update number."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from imaginate.errors import ConfigError
from imaginate.settings import check, setting

Schedule = Literal["cosine", "step", "plateau"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a classifier is trained. `epochs` are passes over the training images (with the `updates` budget of a study:
    over those of its largest arm); `plateau` and `patience` count passes over the *original* images there, so that
    they mean the same number of updates for every arm."""

    epochs: int = setting(60, "passes over the data", ge=1)
    least: int = setting(0, "updates at least, however few images there are", ge=0)
    batch: int = setting(64, "images an update", ge=1)
    lr: float = setting(0.0, "peak learning rate; 0 = 0.2 * batch / 256, a tenth of it for pretrained weights", ge=0)
    schedule: Schedule = setting("cosine", "how the learning rate falls")
    warmup: float = setting(0.05, "share of the updates in which the learning rate rises linearly", ge=0, lt=1)
    milestones: tuple[float, ...] = setting((), "shares of the updates after which `step` divides by 10", gt=0, lt=1)
    plateau: int = setting(10, "epochs without a better validation accuracy after which `plateau` divides by 10", ge=1)
    patience: int | None = setting(None, "epochs without a better validation accuracy after which training stops", ge=1)
    momentum: float = setting(0.9, "SGD momentum", ge=0, lt=1)
    nesterov: bool = setting(True, "Nesterov momentum")
    weight_decay: float = setting(5e-4, "L2 penalty", ge=0)
    smoothing: float = setting(0.0, "label smoothing", ge=0, lt=1)

    def __post_init__(self) -> None:
        check(self)

    @property
    def watches(self) -> bool:
        """Whether the validation part decides on the learning rate or on the end, and not only on the checkpoint."""
        return self.schedule == "plateau" or self.patience is not None

    def peak(self, pretrained: bool) -> float:
        """The peak learning rate, resolved."""
        return self.lr or 0.2 * self.batch / 256 * (0.1 if pretrained else 1.0)

    def updates(self, images: int) -> int:
        """Updates over so many images."""
        return max(self.least, self.epochs * max(1, math.ceil(images / self.batch)))

    def factor(self, update: int, updates: int) -> float:
        """Learning rate at an update, as a share of the peak. `plateau` keeps its own count in the training state."""
        rise = round(self.warmup * updates)
        if update < rise:
            return (update + 1) / rise
        share = (update - rise) / max(1, updates - rise)
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * share))
        if self.schedule == "step":
            return float(0.1 ** sum(update / updates >= m for m in self.milestones))
        return 1.0


_GIF = Recipe(epochs=100, batch=256, lr=0.1, warmup=0.0, weight_decay=1e-4)  # momentum 0.9
_GIF_STEP = replace(_GIF, schedule="step", milestones=(0.21, 0.31), nesterov=False)

RECIPES: dict[str, Recipe] = {
    "default": Recipe(),
    "gif": _GIF,  # CIFAR100-S and OrganSMNIST: rate 0.1, cosine, Nesterov
    "gif-medical": replace(_GIF, lr=0.01),  # PathMNIST and BreastMNIST
    "gif-step": replace(_GIF_STEP, lr=0.01),  # Caltech101, Cars, DTD, Pets: a tenth at epochs 21 and 31 of 100
    "gif-flowers": _GIF_STEP,
    # RET sec. 3: rate 0.1, a tenth after 10 epochs without a better validation accuracy, stop after 20, at most 270.
    "ret": Recipe(
        epochs=270, batch=256, lr=0.1, warmup=0.0, schedule="plateau", plateau=10, patience=20, nesterov=False,
        weight_decay=1e-4,
    ),
}  # fmt: skip


def check_watched(recipe: Recipe, validation: bool) -> None:
    """ConfigError for a recipe that waits for a validation accuracy that nobody measures."""
    if recipe.watches and not validation:
        raise ConfigError(
            "this recipe (plateau or patience) lowers its learning rate or stops by the validation accuracy: it needs "
            "a validation part, --validation above 0 and more than one original image a class"
        )


def adjust(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    schedule: Schedule | None = None,
    patience: int | None = None,
) -> Recipe:
    """A recipe with those changes that are not None."""
    changes = {"epochs": epochs, "batch": batch, "lr": lr, "schedule": schedule, "patience": patience}
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
