"""The hash of every seed image's bytes, each file read once: one that has not changed since is not read again.

A file counts as unchanged while its size, times of change, inode and device are the same, as `git` has it. What
changed within the last two seconds before it was read is not trusted: another change of the same moment would not show.
The hashes are in the machine's cache: IMAGINATE_CACHE=off reads every file again.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from imaginate.data import Dataset, sha256
from imaginate.data.digital_source import GENERATED, source_in
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.rendered import RenderedSource
from imaginate.data.urls import is_url
from imaginate.errors import ImageError
from imaginate.files import short_hash
from imaginate.machine_cache import cache
from imaginate.records import DigitalSource, ImageSource, Sample
from imaginate.version import __version__

PIECE = 4096  # images whose hashes are kept as one value
TRUSTED_AFTER = 2 * 10**9  # nanoseconds after its last change from which on a file's times are trusted
_KEY, _DIGEST = 16, 32
_STATE = struct.Struct("<QqqQQ").pack  # size, times, inode and device
_ROW = _KEY + _DIGEST + 1  # the last byte: 0, or the place of the digital source in GENERATED, from one on


@dataclass(frozen=True, slots=True)
class Seen:
    """What the bytes of a seed image say: their SHA-256 ("" where they cannot be read, and `problem` says why), and
    whether a model made the image."""

    digest: str
    mark: DigitalSource | None = None
    problem: str = ""


def seen_in(dataset: Dataset, *, patience: float = math.inf) -> Iterator[Seen]:
    """One for every sample, in their order; after `patience` seconds none for those that are left."""
    until, known = time.perf_counter() + patience, _Known(dataset)
    for first in range(0, len(dataset.samples), PIECE):
        if time.perf_counter() > until:
            return
        yield from known.read(dataset.samples[first : first + PIECE], first // PIECE, until)


class _Known:
    """The hashes of an earlier reading, piece by piece: those of a piece and of its two neighbours, so that a few
    images more or fewer do not matter."""

    def __init__(self, dataset: Dataset) -> None:
        spec = {**asdict(dataset.spec), "path": os.path.realpath(dataset.spec.path)}
        self._front = f"seeds {__version__} {short_hash([spec, repr(dataset.rendering)])}"
        self._window: dict[int, dict[bytes, bytes]] = {}

    def read(self, samples: Sequence[Sample], place: int, until: float) -> Iterator[Seen]:
        """Of each image what its bytes say, looked up or read; no more after `until`, by the clock of a process."""
        own, *others = self._near(place)
        rows, is_new = bytearray(), False
        for sample in samples:
            if time.perf_counter() > until:
                break
            key, is_trusted = _key(sample.source)
            if (found := own.get(key)) is None:
                found = next((some[key] for some in others if key in some), None)
                is_new |= found is not None
            if found is not None:
                seen = _unpacked(found)
            else:
                seen = _read(sample.source)
                if is_trusted and not seen.problem:
                    found, is_new = _packed(seen), True
            if found is not None:
                rows += key + found
            yield seen
        if is_new:
            cache().put({self._name(place): bytes(rows)})

    def _near(self, place: int) -> list[dict[bytes, bytes]]:
        """This piece first; then its neighbours, for what has moved by a few images."""
        order = (place, place - 1, place + 1)
        missing = {self._name(at): at for at in order if at not in self._window}
        stored = cache().get(missing)
        fresh = {at: _rows(stored.get(name, b"")) for name, at in missing.items()}
        self._window = {at: fresh[at] if at in fresh else self._window[at] for at in order}
        return list(self._window.values())

    def _name(self, place: int) -> str:
        return f"{self._front} {place}"


def _rows(stored: bytes) -> dict[bytes, bytes]:
    if len(stored) % _ROW:
        return {}
    starts = range(0, len(stored), _ROW)
    return {stored[at : at + _KEY]: stored[at + _KEY : at + _ROW] for at in starts}


def _packed(seen: Seen) -> bytes:
    mark = 0 if seen.mark is None else 1 + GENERATED.index(seen.mark)
    return bytes.fromhex(seen.digest) + bytes([mark])


def _unpacked(row: bytes) -> Seen:
    mark = row[_DIGEST]
    return Seen(row[:_DIGEST].hex(), GENERATED[mark - 1] if 0 < mark <= len(GENERATED) else None)


def _read(source: ImageSource) -> Seen:
    try:
        data = source.read()
    except ImageError as error:
        return Seen("", problem=str(error))
    return Seen(sha256(data), source_in(data))


def _key(source: ImageSource) -> tuple[bytes, bool]:
    """What the state of a local file is known by (nothing for any other source), and whether the file has been in it
    for a while."""
    file = source.inner if isinstance(source, RenderedSource) else source
    if not isinstance(file, FileSource) or is_url(path := file.path):
        return b"", False
    now = time.time_ns()
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return b"", False
    changed, made = found.st_mtime_ns, found.st_ctime_ns
    state = _STATE(found.st_size, changed, made, found.st_ino % 2**64, found.st_dev % 2**64)
    return hashlib.blake2b(state, digest_size=_KEY).digest(), max(changed, made) < now - TRUSTED_AFTER
