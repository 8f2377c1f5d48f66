"""Ragged lists of images in, one result an image out, in the same order: images of one shape go through together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from imaginate.errors import ConfigError


def to_float(image: Tensor) -> Tensor:
    """uint8 in [0, 255] -> float32 in [0, 1]; floating point images pass through."""
    return image.float().div(255) if image.dtype == torch.uint8 else image


def map_images(
    fn: Callable[[Tensor], Tensor], images: Sequence[Tensor], batch: int = 64, *, device: str = "cpu"
) -> Tensor:
    """`fn` (b, 3, h, w) float in [0, 1] -> (b, ...), over images (3, h, w) of any size and type -> (n, ...), in order.

    Images of one shape are batched together; the result stays on the device of `fn`'s output.
    """
    if batch < 1:
        raise ConfigError(f"batch must be >= 1, got {batch}")
    if not images:
        raise ConfigError("map_images needs at least one image, got none")
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(index)
    order: list[int] = []
    parts: list[Tensor] = []
    for members in groups.values():
        for start in range(0, len(members), batch):
            chosen = members[start : start + batch]
            parts.append(fn(_stack([images[i] for i in chosen], device)))
            order.extend(chosen)
    result = torch.cat(parts)
    if order == list(range(len(images))):
        return result
    back = torch.empty(len(order), dtype=torch.int64)
    back[torch.tensor(order)] = torch.arange(len(order))
    return result[back.to(result.device)]


def _stack(images: list[Tensor], device: str) -> Tensor:
    """(3, h, w) each -> (b, 3, h, w) float; uint8 images cross to the device as bytes, a quarter of the traffic."""
    if all(image.dtype == torch.uint8 for image in images):
        return to_float(torch.stack(images).to(device, non_blocking=True))
    return torch.stack([to_float(image) for image in images]).to(device)
