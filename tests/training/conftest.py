"""A problem that a few thousand weights can learn: the class is the colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imaginate.training.plan import TrainPlan
from imaginate.training.recipes import Recipe
from imaginate.training.training_set import TrainingSet, join


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def colour_pool(
    folder: Path, name: str = "a", count: int = 48, classes: int = 3, seed: int = 0, side: int = 16
) -> TrainingSet:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = rng.integers(0, 120, (count, 16, 16, 3)).astype(np.uint8)
    pixels[np.arange(count), :, :, labels % 3] += 90
    np.save(folder / f"{name}.npy", pixels.repeat(side // 16, 1).repeat(side // 16, 2))
    return join([(folder / f"{name}.npy", np.arange(count), labels, None)], classes)


def tiny_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(8, 3),
    )  # fmt: skip


def tiny_plan(**changes: object) -> TrainPlan:
    values: dict[str, object] = {
        "arch": "small", "classes": 3, "size": 16, "recipe": Recipe(batch=8, lr=0.05), "updates": 24, "epoch": 6,
        "seed": 1,
    }  # fmt: skip
    return TrainPlan(**{**values, **changes})  # type: ignore[arg-type]
