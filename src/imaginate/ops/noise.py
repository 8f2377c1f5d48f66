"""Random numbers that belong to one image: every draw comes from a named stream of that image's own seed.

A stream is seeded by hash(seed, name), so that drawing a prompt never shifts the noise, and batch, order and device
never shift anything: all draws are made on the CPU in float32 and moved afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from imaginate.files import derive_seed


def substream(seed: int, name: str) -> int:
    """A seed in [0, 2**63) for one purpose (`posterior`, `prompt`, ...) of the image with this seed."""
    return derive_seed(f"{seed}/{name}")


def stream(seed: int, name: str) -> torch.Generator:
    """A CPU generator for one purpose of the image with this seed."""
    return torch.Generator().manual_seed(substream(seed, name))


def normal(seeds: Sequence[int], name: str, shape: Sequence[int]) -> torch.Tensor:
    """N(0, 1), one row a seed: (len(seeds), *shape) float32 on the CPU."""
    return torch.stack([torch.randn(tuple(shape), generator=stream(seed, name)) for seed in seeds])


def uniform(seeds: Sequence[int], name: str, shape: Sequence[int]) -> torch.Tensor:
    """U(0, 1), one row a seed: (len(seeds), *shape) float32 on the CPU."""
    return torch.stack([torch.rand(tuple(shape), generator=stream(seed, name)) for seed in seeds])


def pick(seed: int, name: str, count: int) -> int:
    """A uniform index in [0, count)."""
    return int(torch.randint(count, (1,), generator=stream(seed, name)).item())
