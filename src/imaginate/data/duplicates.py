"""Byte-equal images: hashes of samples, and the same image under two labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from imaginate.errors import ImageError
from imaginate.records import LabelSpace, Sample


def content_hash(data: bytes) -> str:
    """The SHA-256 of an image's encoded bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def hash_samples(samples: Iterable[Sample]) -> Iterator[tuple[str, str]]:
    """(id, content hash) of each sample, one image in memory at a time; those that cannot be read are left out."""
    for sample in samples:
        try:
            yield sample.id, content_hash(sample.source.read())
        except ImageError:
            continue


def conflicts(samples: Iterable[Sample], labels: LabelSpace | None = None) -> dict[str, str]:
    """Ids of images that stand under more than one label -> the reason to skip each of them.

    Keeps twenty bytes an image, never an image. Without a label space the reason names label numbers.
    """
    seen: list[tuple[str, int, bytes]] = []
    under: dict[bytes, set[int]] = {}
    for sample in samples:
        try:
            digest = hashlib.blake2b(sample.source.read(), digest_size=16).digest()
        except ImageError:
            continue
        seen.append((sample.id, sample.label, digest))
        under.setdefault(digest, set()).add(sample.label)
    return {name: two_labels(_named(under[digest], labels)) for name, _, digest in seen if len(under[digest]) > 1}


def two_labels(names: Iterable[str]) -> str:
    """The reason under which both (or all) sides of a conflict are skipped."""
    return f"same image under two labels ({', '.join(sorted(names))})"


def _named(found: set[int], labels: LabelSpace | None) -> list[str]:
    return [labels[label].name if labels else str(label) for label in found]
