"""Between images and noise along a deterministic path, both ways, and on the circle through two noises.

DDIM (Song et al. 2021, eq. 12 without noise) goes from a level of noise to another by what the network predicts:

    x0 = (x - sqrt(1 - a) e) / sqrt(a),   x' = sqrt(a') x0 + sqrt(1 - a') e,   a the share of the variance that is image

Flow matching (Lipman et al. 2023; Esser et al. 2024) goes on straight lines by a velocity, from a level s to another:

    x' = x + (s' - s) v,   s the share of noise in x = (1 - s) x0 + s e

Upwards it is the inversion of the same path, exact where the prediction does not change along a step.

Circle interpolation (Wang and Chen 2024, Diff-II, eq. 4): two inversions z_i, z_j at the angle A are turned into

    z = sin((1 - l) A) / sin(A) z_i + sin(l A) / sin(A) z_j,   l in [0, 2 pi / A]

so that not only the arc between them is reached (l in [0, 1]) but the whole circle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Prediction = Callable[[Tensor, int], Tensor]  # (latents, which step) -> the noise or velocity that a network predicts
Move = Callable[[Tensor, Tensor, float, float], Tensor]  # (latents, prediction, level, target) -> latents there
ALIGNED = 1e-4  # radians below which two noises are one


def ddim_step(x: Tensor, noise: Tensor, image: float, target: float) -> Tensor:
    """Latents whose variance is image to the share `image` -> the same at the share `target`."""
    clean = (x - math.sqrt(1 - image) * noise) / math.sqrt(image)
    return math.sqrt(target) * clean + math.sqrt(1 - target) * noise


def flow_step(x: Tensor, velocity: Tensor, level: float, target: float) -> Tensor:
    """Latents at one level of noise of flow matching -> at another, on a straight line."""
    return x + (target - level) * velocity


def descend(x: Tensor, levels: Sequence[float], predict: Prediction, move: Move = ddim_step) -> Tensor:
    """From noise to an image: `levels` (steps + 1) go from the first to the clean end, as `move` counts them."""
    for step, (level, target) in enumerate(pairwise(levels)):
        x = move(x, predict(x, step), level, target)
    return x


def invert(x: Tensor, levels: Sequence[float], predict: Prediction, move: Move = ddim_step) -> Tensor:
    """From an image to noise: the steps of `descend`, backwards."""
    for step in reversed(range(len(levels) - 1)):
        x = move(x, predict(x, step), levels[step + 1], levels[step])
    return x


def two_stages(early: Prediction, late: Prediction, change: int) -> Prediction:
    """One prediction up to the step `change`, another from there on."""
    return lambda x, step: early(x, step) if step < change else late(x, step)


def noise_in(output: Tensor, x: Tensor, image: float, prediction: str) -> Tensor:
    """The noise in x by what a network answers: noise, the clean image, or v (Salimans and Ho 2022)."""
    if prediction == "epsilon":
        return output
    if prediction == "sample":
        return (x - math.sqrt(image) * output) / math.sqrt(1 - image)
    return math.sqrt(image) * output + math.sqrt(1 - image) * x


def angle(a: Tensor, b: Tensor) -> Tensor:
    """(n, ...) and (n, ...) -> (n,) radians between them, in [0, pi]."""
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1).double(), b.flatten(1).double(), dim=1)
    return cosine.clamp(-1, 1).acos()


def on_circle(a: Tensor, b: Tensor, turn: Tensor) -> Tensor:
    """The point of each circle at `turn` (n,) in [0, 1): 0 is a, A / 2 pi is b; (n, ...) each. Where both are one, or
    opposite, it is a."""
    between = angle(a, b)
    is_flat = (between < ALIGNED) | (between > math.pi - ALIGNED)
    sine = torch.where(is_flat, torch.ones_like(between), between.sin())
    there = 2 * math.pi * turn.to(between)
    first = torch.where(is_flat, torch.ones_like(sine), (between - there).sin() / sine)
    second = torch.where(is_flat, torch.zeros_like(sine), there.sin() / sine)
    shape = (-1, *([1] * (a.ndim - 1)))
    return (first.view(shape) * a.double() + second.view(shape) * b.double()).to(a)
