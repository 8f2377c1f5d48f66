"""Which images are the same picture: cosine similarity of embeddings, and a perceptual hash that needs no model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

HASH_BITS = 64


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of every row of `a` (n, d) with every row of `b` (m, d) -> (n, m) in [-1, 1]."""
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def nearest_distances(queries: Tensor, points: Tensor, *, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Euclidean distance from each query (m, d) to its nearest point (n, d), and which one: (m,), (m,) int64.

    In chunks, so that the (m, n) table never exists as a whole.
    """
    exact = "donot_use_mm_for_euclid_dist"
    found = [torch.cdist(part, points, compute_mode=exact).min(dim=1) for part in torch.split(queries, chunk)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def nearest_cosine(queries: Tensor, points: Tensor, *, chunk: int = 4096) -> tuple[Tensor, Tensor]:
    """Highest cosine similarity of each query (m, d) among the points (n, d), and which one: (m,), (m,) int64."""
    found = [cosine(part, points).max(dim=1) for part in torch.split(queries, chunk)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def phash(images: Tensor) -> list[str]:
    """64-bit perceptual hash of each image (b, 3, h, w), uint8 or in [0, 1]: 16 hex digits, close for like images.

    Grey, shrunk to 32 x 32, DCT; a bit says whether one of the 8 x 8 lowest frequencies is above their median
    (Zauner 2010). The mean brightness is left out, so exposure does not matter. Written here in tensors because it then
    takes a whole batch, on any device, and needs no other library.
    """
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    grey = (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    small = F.interpolate(grey, size=(32, 32), mode="bilinear", antialias=True, align_corners=False).squeeze(1)
    basis = _dct_basis(32, 9, small)
    spectrum = basis @ small @ basis.T
    # Skip the mean (0, 0): the 8 x 8 block that starts at the first row and the second column.
    low = spectrum[:, 0:8, 1:9].flatten(1)
    bits = low > low.median(dim=1, keepdim=True).values
    return [_hex(row) for row in bits.tolist()]


def hamming(a: str, b: str) -> int:
    """The number of bits in which two hashes differ, in [0, 64]."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def flip_hashes(images: Tensor) -> tuple[list[str], list[str]]:
    """The hashes of the images (b, 3, h, w) and of their mirror images."""
    return phash(images), phash(images.flip(-1))


def hash_bits(hashes: Sequence[str]) -> Tensor:
    """n hashes -> (n, 64) in {0, 1} float: Hamming distances between many become one matrix product."""
    rows = [[(int(h, 16) >> i) & 1 for i in range(HASH_BITS)] for h in hashes]
    return torch.tensor(rows, dtype=torch.float32).view(-1, HASH_BITS)


def hamming_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Bits (n, 64) and (m, 64) -> number of differing bits (n, m)."""
    return a @ (1 - b).T + (1 - a) @ b.T


def _dct_basis(size: int, count: int, like: Tensor) -> Tensor:
    """The first `count` rows of the DCT-II matrix (count, size)."""
    n = torch.arange(size, dtype=torch.float64)
    k = torch.arange(count, dtype=torch.float64).unsqueeze(1)
    return torch.cos(math.pi * (2 * n + 1) * k / (2 * size)).to(like)


def _hex(bits: Sequence[bool]) -> str:
    return f"{sum(int(bit) << i for i, bit in enumerate(bits)):016x}"
