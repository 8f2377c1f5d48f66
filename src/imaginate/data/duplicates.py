"""Byte-equal images: their hash, and the same image under two labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from imaginate.records import LabelSpace, Sample


def sha256(data: bytes) -> str:
    """The SHA-256 of an image's encoded bytes, as `sha256sum` prints it: a run's list of seeds can be checked by it."""
    return hashlib.sha256(data).hexdigest()


def conflicts(samples: Sequence[Sample], hashes: Sequence[str], labels: LabelSpace) -> dict[str, str]:
    """Ids of images that stand under more than one label -> the reason to skip each of them, so that no side wins.

    `hashes`: the content hash of each sample; empty for one that cannot be read.
    """
    first: dict[str, int] = {}  # of each image a number; a set only where it has two labels
    under: dict[str, set[int]] = {}
    for sample, digest in zip(samples, hashes, strict=True):
        if digest and first.setdefault(digest, sample.label) != sample.label:
            under.setdefault(digest, {first[digest]}).add(sample.label)
    reasons = {digest: two_labels(labels[i].name for i in found) for digest, found in under.items()}
    return {s.id: reasons[d] for s, d in zip(samples, hashes, strict=True) if d in reasons}


def two_labels(names: Iterable[str]) -> str:
    """The reason under which both (or all) sides of a conflict are skipped."""
    return f"same image under two labels ({', '.join(sorted(names))})"
