"""Which images are the same picture: cosine similarity of embeddings, and a perceptual hash that needs no model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


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


def hash_bits(hashes: Sequence[str]) -> Tensor:
    """n hashes (16 hex digits, or signatures) -> (n, 64) in {0, 1}: many distances become one matrix product."""
    numbers = [int(h[:16], 16) for h in hashes]
    return torch.tensor([[(v >> i) & 1 for i in range(64)] for v in numbers], dtype=torch.float32).view(-1, 64)


def hamming(a: str, b: str) -> int:
    """The number of bits in which two hashes differ, in [0, 64]."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def colours(images: Tensor) -> Tensor:
    """The picture as 4 x 4 patches of mean colour, (b, 3, h, w) uint8 or in [0, 1] -> (b, 48) in [0, 1].

    The hash is blind to colour; together they distinguish a recoloured image from a copy.
    """
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return F.interpolate(x, size=(4, 4), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1).flatten(1)


def signature(images: Tensor) -> list[str]:
    """Hash and colours of each image (b, 3, h, w) in one string of 112 hex digits, small enough for a table."""
    tables = (colours(images) * 255).round().to(torch.uint8).cpu().tolist()
    return [head + bytes(table).hex() for head, table in zip(phash(images), tables, strict=True)]


def colour_distance(a: str, b: str) -> float:
    """Root mean square difference in [0, 1] of the colours in two signatures."""
    pairs = zip(bytes.fromhex(a[16:]), bytes.fromhex(b[16:]), strict=True)
    return math.sqrt(sum((p - q) ** 2 for p, q in pairs) / 48) / 255


class Near(NamedTuple):
    """The nearest known image: its id, the bits in which the hashes differ, and the colour distance."""

    id: str
    bits: int
    colour: float


class SignatureIndex:
    """Growing set of signatures; `near` finds those within `bits` bits and `colour` of colour distance, exactly.

    The hashes are in one tensor and are all compared: a million take some milliseconds, and at any size this is faster
    than buckets of equal bands, which at eight bits hold a fourteenth of all images.
    """

    def __init__(self, bits: int, colour: float | None = None) -> None:
        self.bits, self.colour = bits, colour
        self._rows: list[tuple[str, str]] = []
        self._hashes = torch.zeros(1024, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: str, signed: str) -> None:
        """Remember an image under its id."""
        if len(self._rows) == len(self._hashes):
            self._hashes = torch.cat([self._hashes, torch.zeros_like(self._hashes)])
        self._hashes[len(self._rows)] = _number(signed)
        self._rows.append((key, signed))

    def near(self, signed: str) -> Near | None:
        """The nearest image within the limits; the earlier one where two are equally near."""
        differing = _set_bits(self._hashes[: len(self._rows)] ^ _number(signed))
        found = (differing <= self.bits).nonzero().flatten()
        for i in found[differing[found].argsort(stable=True)].tolist():
            key, other = self._rows[i]
            distance = colour_distance(signed, other)
            if self.colour is None or distance <= self.colour:
                return Near(key, int(differing[i]), distance)
        return None


def _number(signed: str) -> int:
    """The hash in a signature as a signed 64-bit number."""
    return int.from_bytes(bytes.fromhex(signed[:16]), "big", signed=True)


def _set_bits(x: Tensor) -> Tensor:
    """How many of 64 bits are set, (n,) int64: sums of neighbouring bits, pairs, quartets (Warren 2012, 5-1)."""
    x = x - ((x >> 1) & 0x5555555555555555)
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (x * 0x0101010101010101) >> 56


def _dct_basis(size: int, count: int, like: Tensor) -> Tensor:
    """The first `count` rows of the DCT-II matrix (count, size)."""
    n = torch.arange(size, dtype=torch.float64)
    k = torch.arange(count, dtype=torch.float64).unsqueeze(1)
    return torch.cos(math.pi * (2 * n + 1) * k / (2 * size)).to(like)


def _hex(bits: Sequence[bool]) -> str:
    return f"{sum(int(bit) << i for i, bit in enumerate(bits)):016x}"
