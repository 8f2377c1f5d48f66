"""Tar archives (also .tar.gz, .tar.bz2, .tar.xz), read where they lie: image folders, and WebDataset members."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from lzma import LZMAError

from imaginate.data import layout
from imaginate.data.dataset import Listing, Skipped
from imaginate.data.listing import from_paths, printable
from imaginate.data.sources import SpanSource
from imaginate.data.unpacked import PackedSource, Packing
from imaginate.data.urls import open_binary
from imaginate.data.zips import TWICE, skip_reason, sniff
from imaginate.errors import DataError
from imaginate.records import ImageSource

_PACKINGS: tuple[tuple[bytes, Packing], ...] = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ", "xz"))


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar: its name, its bytes, and why it cannot be used (or "")."""

    name: str
    source: ImageSource
    size: int
    reason: str


def members(path: str) -> tuple[list[Member], list[Skipped]]:
    """The files of a tar; of a damaged one, those before the damage, which is then listed as skipped."""
    found: list[Member] = []
    try:
        with open_binary(path) as file:
            head = file.read(8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    packing = next((name for magic, name in _PACKINGS if head.startswith(magic)), None)
    try:
        with open_binary(path) as file, tarfile.open(fileobj=file) as archive:
            for info in archive:
                if not info.isdir():
                    found.append(_member(path, packing, info))
    except (tarfile.TarError, EOFError, OSError, zlib.error, LZMAError) as error:
        if not found:
            raise DataError(f"cannot read {path} as a tar: {error}") from None
        return found, [Skipped(path, "damaged archive")]
    return found, []


def _member(path: str, packing: Packing | None, info: tarfile.TarInfo) -> Member:
    name = printable(info.name).removeprefix("./")
    source: ImageSource = SpanSource(path, info.offset_data, info.size)
    if packing is not None:
        source = PackedSource(path, packing, 0, info.offset_data, info.size)
    reason = "link in an archive" if info.issym() or info.islnk() else ""
    if not reason and (not info.isreg() or info.issparse()):
        reason = "not a regular file"
    return Member(name, source, info.size, reason or skip_reason(name, info.size))


def read(path: str, found: Sequence[Member], skipped: Sequence[Skipped]) -> Listing:
    """The members of a tar as an image folder, in the order of their names."""
    images: dict[str, ImageSource] = {}
    left = list(skipped)
    for member in sorted(found, key=lambda member: member.name):
        reason = member.reason or (TWICE if member.name in images else "")
        if not reason and not layout.image_suffix(member.name):
            reason = sniff(member.source)
        if reason:
            left.append(Skipped(member.name, reason))
        else:
            images[member.name] = member.source
    return from_paths("image folder in a tar", list(images.items()), left, path)
