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
    under: dict[str, set[int]] = {}
    for sample, digest in zip(samples, hashes, strict=True):
        under.setdefault(digest, set()).add(sample.label)
    reasons = {d: two_labels(labels[i].name for i in found) for d, found in under.items() if d and len(found) > 1}
    return {s.id: reasons[d] for s, d in zip(samples, hashes, strict=True) if d in reasons}


def two_labels(names: Iterable[str]) -> str:
    """The reason under which both (or all) sides of a conflict are skipped."""
    return f"same image under two labels ({', '.join(sorted(names))})"
