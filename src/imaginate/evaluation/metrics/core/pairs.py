"""Which images are the same picture: within a set, and between a set and the held-out images (a leak).

Two tests, both needed: a perceptual hash (finds copies that were resized or recompressed, and recoloured ones unless
colours are compared, too) and the cosine of two embeddings (finds crops and mirror images). Either one makes a pair.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from imaginate.errors import ConfigError
from imaginate.settings import check, setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from imaginate.evaluation.metrics.core.features import Features

CHUNK = 1024
COSINE, HAMMING = 0.97, 8  # the border of a leak; the bits as benchmarks/leak_control.py measured them

EXAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class ByCosine:
    """When the embeddings of two images are so alike that the images count as the same."""

    cosine: float = setting(COSINE, "from this cosine of two embeddings on, two images look the same", ge=-1, le=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prints:
    """Fingerprints of n images: ids, hash bits (n, 64) in {0, 1}, colours (n, 48) in [0, 1], unit embeddings (n, d)."""

    ids: Sequence[str]
    bits: Tensor
    colours: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images that look the same. `cosine` in [-1, 1], `hamming` in [0, 64]; `found_by`: hash, embedding or both."""

    first: str
    second: str
    cosine: float
    hamming: int
    found_by: str


def find_pairs(
    a: Prints, b: Prints | None = None, *, cosine: float = COSINE, hamming: int = HAMMING, colour: float | None = None
) -> list[Pair]:
    """Every pair of an image of `a` with one of `b` (or with a later one of `a`) that looks the same, nearest first.

    A hash says so at up to `hamming` differing bits of 64 (where `colour` is given: if the root mean square difference
    of the colours is not above it), an embedding from a similarity of `cosine` on.
    """
    if not -1 <= cosine <= 1:
        raise ConfigError(f"cosine must be in [-1, 1], got {cosine!r}")
    if not 0 <= hamming <= 64:
        raise ConfigError(f"hamming must be in [0, 64], got {hamming!r}")
    found = list(_pairs(a, b, cosine, hamming, colour))
    return sorted(found, key=lambda p: (-p.cosine, p.hamming, p.first, p.second))


def _pairs(a: Prints, b: Prints | None, cosine: float, hamming: int, colour: float | None) -> Iterator[Pair]:
    import torch

    other = a if b is None else b
    for start in range(0, len(a), CHUNK):
        rows = slice(start, start + CHUNK)
        near = a.embeddings[rows] @ other.embeddings.T  # (chunk, m)
        apart = a.bits[rows] @ (1 - other.bits).T + (1 - a.bits[rows]) @ other.bits.T
        by_embedding, by_hash = near >= cosine, apart <= hamming
        if colour is not None:
            by_hash &= torch.cdist(a.colours[rows], other.colours) / 48**0.5 <= colour
        hit = by_embedding | by_hash
        if b is None:
            hit &= torch.arange(len(other))[None, :] > torch.arange(start, start + len(hit))[:, None]
        for i, j in hit.nonzero().tolist():
            words = [w for w, yes in (("hash", by_hash[i, j]), ("embedding", by_embedding[i, j])) if yes]
            yield Pair(
                first=a.ids[start + i],
                second=other.ids[j],
                cosine=float(near[i, j]),
                hamming=int(apart[i, j].round()),
                found_by=" and ".join(words),
            )


def share_involved(pairs: Sequence[Pair], count: int) -> float:
    """Share of `count` images that are the first of at least one pair: the leaked share of a run; in [0, 1]."""
    return len({pair.first for pair in pairs}) / count if count else 0.0


def redundant(pairs: Sequence[Pair]) -> set[str]:
    """Images one could drop so that no pair within the set is left, keeping the first of each group greedily."""
    gone: set[str] = set()
    for pair in sorted(pairs, key=lambda p: (p.first, p.second)):
        if pair.first not in gone:
            gone.add(pair.second)
    return gone


def prints_of(found: Features) -> Prints:
    """The fingerprints of extracted images."""
    from torch.nn.functional import normalize

    return Prints(ids=found.ids, bits=found.bits, colours=found.colours, embeddings=normalize(found.vectors, dim=1))


def examples(pairs: Sequence[Pair]) -> list[dict[str, str | float]]:
    """The nearest pairs, each image shown once."""
    seen: set[str] = set()
    shown: list[dict[str, str | float]] = []
    for pair in pairs:
        if pair.first not in seen and len(shown) < EXAMPLES:
            seen |= {pair.first, pair.second}
            shown.append(asdict(pair))
    return shown
