"""The members of a zip, read where they are: nothing is extracted."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from contextlib import suppress

from imaginate.data.archives import Member, skip_reason
from imaginate.data.code_pages import guess
from imaginate.data.sources.zip import METHODS, ZipSource
from imaginate.data.urls import open_binary
from imaginate.errors import DataError
from imaginate.limits import MEMBERS


def zip_members(path: str, encoding: str | None = None) -> tuple[list[Member], list[str]]:
    """The files of a zip in the order in which they are in it, and what was noticed of their names."""
    found = sorted(_infos(path), key=lambda info: info.header_offset)
    names, notes = _names(found, encoding, path)
    return [_member(path, info, name) for info, name in zip(found, names, strict=True)], notes


def _member(path: str, info: zipfile.ZipInfo, name: str) -> Member:
    source = ZipSource(path, info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)
    return Member(name, source, skip_reason(name, info.file_size) or _cannot_unpack(info))


def _infos(path: str) -> list[zipfile.ZipInfo]:
    """The files (not folders) of a zip; DataError where it has no readable directory."""
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
            if len(archive.infolist()) > MEMBERS:
                raise DataError(f"{path} has more than {MEMBERS:,} members")
            return [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"cannot read {path} as a zip: {error}") from None


def _names(infos: Sequence[zipfile.ZipInfo], encoding: str | None, path: str) -> tuple[list[str], list[str]]:
    """The members' names, and a note where their code page had to be guessed. Names that are not marked as UTF-8 are
    in the code page of the computer that packed them, all in the same; many hold UTF-8 all the same."""
    plain = [info.filename if info.flag_bits & 0x800 else _unicode_path(info) for info in infos]
    raw = {i: infos[i].filename.encode("cp437") for i, name in enumerate(plain) if name is None}
    odd = [name for name in raw.values() if not name.isascii()]
    page = encoding or (guess(odd) if odd else "utf-8") or "cp437"
    try:
        names = [raw[i].decode(page) if name is None else name for i, name in enumerate(plain)]
    except (UnicodeDecodeError, LookupError):
        raise DataError(f"the names in {path} are not in the encoding {page!r}; give another one") from None
    notes = []
    if odd and encoding is None and page != "utf-8":
        shown = odd[0].decode(page)
        notes = [
            f"the zip does not say in which code page its names are; read as {page} ({shown}), else say --encoding"
        ]
    return [name.replace("\\", "/") for name in names], notes


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """The name in UTF-8 that Info-ZIP adds to one in another code page (extra field 0x7075), or None."""
    at = 0
    while at + 4 <= len(info.extra):
        kind, size = struct.unpack("<HH", info.extra[at : at + 4])
        if kind == 0x7075 and size > 5 and info.extra[at + 4] == 1:
            with suppress(UnicodeDecodeError):
                return info.extra[at + 9 : at + 4 + size].decode("utf-8")
        at += 4 + size
    return None


def _cannot_unpack(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "encrypted"
    return "" if info.compress_type in METHODS else "unsupported compression"
