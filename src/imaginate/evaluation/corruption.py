"""Corruption accuracy: 15 corruptions x 5 severities (Hendrycks & Dietterich 2019), as in GIF Table 2.

With the constants of ImageNet-C the corruptions are `imagecorruptions`' (a kept library); with those of CIFAR-C, which
GIF Table 2 (CIFAR100-C) has, they are `cifar_c`'s. Here they are only seeded, so that every arm sees the same corrupted
images, applied at the classifier's input size, and kept on disk while they are small.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imaginate.errors import ConfigError
from imaginate.evaluation.cifar_c import corrupt_small
from imaginate.files import derive_seed, replace_file, short_hash
from imaginate.training.plan import TrainPlan
from imaginate.training.predict import logits_of
from imaginate.training.training_set import TrainingSet

if TYPE_CHECKING:
    import torch
    from torch import nn

    from imaginate.evaluation.job import Corrupting

# GIF Table 2's order: noise, blur, weather, digital.
KINDS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
IMAGENET_C, CIFAR_C = "imagenet-c", "cifar-c"
_SEEDED = ("impulse_noise", "glass_blur")
SMALLEST = 32
_KEEP_BYTES = 2 * 2**30


def check_corruptions(size: int, constants: str = IMAGENET_C) -> None:
    """ConfigError where the library is missing, or the constants are not for the size of the classifier's input."""
    if find_spec("imagecorruptions") is None:
        raise ConfigError("corruption accuracy needs imagecorruptions: pip install imagecorruptions-imaug")
    if size < SMALLEST:
        raise ConfigError(f"corruptions need images of at least {SMALLEST} px, got {size}")
    if constants == CIFAR_C and size != SMALLEST:
        raise ConfigError(
            f"the corruption constants of CIFAR-C are for images of {SMALLEST} px, got {size}: "
            f"--image-size {SMALLEST}, or --corruption-constants imagenet-c"
        )


def chosen(label: np.ndarray, count: int) -> np.ndarray:
    """Labels (n,) -> `count` rows at most, spread over the classes in proportion, the same every time."""
    keys = np.empty(len(label))
    for index in np.unique(label):
        rows = np.flatnonzero(label == index)
        order = np.random.default_rng(derive_seed("corrupted", int(index))).permutation(len(rows))
        keys[rows[order]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(np.argsort(keys, kind="stable")[:count])


def corrupt(image: np.ndarray, kind: str, severity: int, seed: int, constants: str = IMAGENET_C) -> np.ndarray:
    """(s, s, 3) uint8, s >= 32 -> the same image corrupted; the draw depends on `seed` alone."""
    check_corruptions(min(image.shape[:2]), constants)
    from imagecorruptions import corrupt as library

    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        if constants == CIFAR_C:
            return corrupt_small(image, kind, severity)
        options = {"seed": seed % 2**31} if kind in _SEEDED else {}
        return library(image, corruption_name=kind, severity=severity, **options)  # type: ignore[no-any-return]
    finally:
        np.random.set_state(before)


def corruption_correct(plan: TrainPlan, model: nn.Module, held: TrainingSet, how: Corrupting) -> np.ndarray:
    """Whether each corrupted image is classified right. (15, severities, n) bool"""
    rows, severities = how.rows, how.severities
    correct = np.zeros((len(KINDS), len(severities), len(rows)), bool)
    keep = correct.size * plan.size**2 * 3 <= _KEEP_BYTES
    for i, kind in enumerate(KINDS):
        for j, severity in enumerate(severities):
            images = _images(held, how, plan.size, kind, severity, keep)
            predicted = [
                logits_of(plan, model, _tensor(images[start : start + 256])).argmax(1).numpy()
                for start in range(0, len(rows), 256)
            ]
            correct[i, j] = np.concatenate(predicted) == held.label[rows]
    return correct


def _images(held: TrainingSet, how: Corrupting, size: int, kind: str, severity: int, keep: bool) -> np.ndarray:
    """(n, s, s, 3) uint8: the rows corrupted, from disk where an earlier classifier left them."""
    rows, other = how.rows, [] if how.constants == IMAGENET_C else [how.constants]
    key = short_hash([[p.name for p in held.stores], held.row[rows].tolist(), size, *other])
    path = Path(held.stores[0]).parent / f"corrupted-{key}-{kind}-{severity}.npy"
    if path.exists():
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
    out = np.empty((len(rows), size, size, 3), np.uint8)
    for place, row in enumerate(rows):
        image = held.images(np.array([row]))[0]
        gap = (image.shape[-1] - size) // 2
        image = image[:, gap : gap + size, gap : gap + size].permute(1, 2, 0).contiguous()
        seed = derive_seed("corrupt", int(row), kind, severity)
        out[place] = corrupt(image.numpy(), kind, severity, seed, how.constants)
    if keep:
        replace_file(path, lambda partial: _save(partial, out))
    return out


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # given a name, numpy would add to it
        np.save(file, array)


def _tensor(images: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
