"""The members of a tar (also .tar.gz, .tar.bz2, .tar.xz), read where they are: nothing is extracted."""

from __future__ import annotations

import tarfile
import zlib
from functools import lru_cache
from lzma import LZMAError

from imaginate.data.archives import Member, skip_reason
from imaginate.data.listing import printable
from imaginate.data.sources.packed import PackedSource
from imaginate.data.sources.span import SpanSource
from imaginate.data.tar_headers import DAMAGE, Header
from imaginate.data.unpacked import Packing, stamp
from imaginate.data.urls import open_binary
from imaginate.errors import DataError
from imaginate.limits import MEMBERS
from imaginate.records import ImageSource, Skipped

_PACKINGS: tuple[tuple[bytes, Packing], ...] = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ", "xz"))


def members(path: str) -> tuple[list[Member], list[Skipped]]:
    """The files of a tar; of a damaged one, those before the damage, which is then listed as skipped."""
    try:
        found, skipped = _members(path, stamp(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    return list(found), list(skipped)


@lru_cache(maxsize=4)
def _members(path: str, stamp: tuple[int, int]) -> tuple[list[Member], list[Skipped]]:
    found: list[Member] = []
    try:
        with open_binary(path) as file:
            head = file.read(8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    packing = next((name for magic, name in _PACKINGS if head.startswith(magic)), None)
    try:
        with open_binary(path) as file, tarfile.open(fileobj=file, tarinfo=Header) as archive:
            for info in archive:
                if len(found) >= MEMBERS:
                    raise DataError(f"{path} has more than {MEMBERS:,} members")
                if not info.isdir():
                    found.append(_member(path, packing, info))
    except (*DAMAGE, zlib.error, LZMAError) as error:
        if not found:
            raise DataError(f"cannot read {path} as a tar: {' '.join(str(error).split())}") from None
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
    return Member(name, source, reason or skip_reason(name, info.size))
