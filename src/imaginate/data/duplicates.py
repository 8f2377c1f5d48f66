"""Byte-equal images: their hash, and the same image under two labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from imaginate.records import LabelSpace, Sample

_WIDTH = 32  # bytes of a SHA-256
_NONE = bytes(_WIDTH)


def sha256(data: bytes) -> str:
    """The SHA-256 of an image's encoded bytes, as `sha256sum` prints it: a run's list of seeds can be checked by it."""
    return hashlib.sha256(data).hexdigest()


def _text(digest: bytearray) -> str:
    return digest.hex() if digest != _NONE else ""


class Digests(Sequence[str]):
    """SHA-256 digests of images, as `sha256sum` prints them ("" for an image that cannot be read), in 32 bytes each."""

    def __init__(self, digests: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        for digest in digests:
            self.append(digest)

    def append(self, digest: str) -> None:
        """One more."""
        self._bytes += bytes.fromhex(digest) or _NONE

    def append_unknown(self, count: int) -> None:
        """So many that equal nothing: of images that were not read."""
        import numpy as np

        rows = np.full((count, _WIDTH // 8), 2**64 - 1, ">u8")
        rows[:, 0] = np.arange(1, count + 1, dtype=np.uint64) << np.uint64(16)
        self._bytes += rows.tobytes()

    def alike(self) -> list[int]:
        """The places of images that may be equal to another one, in order: nearly always they are."""
        import numpy as np

        if not self._bytes:
            return []
        rows = np.frombuffer(self._bytes, ">u8").reshape(-1, _WIDTH // 8)
        fronts, is_there = rows[:, 0].astype(np.uint64), rows.any(axis=1)
        ordered = np.sort(fronts[is_there])
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        places: list[int] = np.flatnonzero(is_there & np.isin(fronts, twice)).tolist() if len(twice) else []
        return places

    def __len__(self) -> int:
        return len(self._bytes) // _WIDTH

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Digests: ...

    def __getitem__(self, index: int | slice) -> str | Digests:
        if isinstance(index, slice):
            return Digests(self[i] for i in range(*index.indices(len(self))))
        at = range(len(self))[index] * _WIDTH
        return _text(self._bytes[at : at + _WIDTH])

    def __iter__(self) -> Iterator[str]:
        return (_text(self._bytes[at : at + _WIDTH]) for at in range(0, len(self._bytes), _WIDTH))

    def __eq__(self, other: object) -> bool:
        return self._bytes == other._bytes if isinstance(other, Digests) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def conflicts(samples: Sequence[Sample], hashes: Sequence[str], labels: LabelSpace) -> dict[str, str]:
    """Ids of images that stand under more than one label -> the reason to skip each of them, so that no side wins.

    `hashes`: the content hash of each sample; empty for one that cannot be read.
    """
    digests = hashes if isinstance(hashes, Digests) else Digests(hashes)
    under: dict[str, set[int]] = {}
    rows = [(samples[place], digests[place]) for place in digests.alike()]
    for sample, digest in rows:
        under.setdefault(digest, set()).add(sample.label)
    reasons = {d: two_labels(labels[i].name for i in found) for d, found in under.items() if len(found) > 1}
    return {sample.id: reasons[digest] for sample, digest in rows if digest in reasons}


def two_labels(names: Iterable[str]) -> str:
    """The reason under which both (or all) sides of a conflict are skipped."""
    return f"same image under two labels ({', '.join(sorted(names))})"


def two_groups(names: Iterable[str]) -> str:
    """The reason under which an image of two patients is skipped: whichever side it went to, the other would leak."""
    return f"same image in two groups ({', '.join(sorted(names))})"
