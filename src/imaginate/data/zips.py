"""Image folders inside a zip, read where they lie: nothing is extracted."""

from __future__ import annotations

import zipfile
from contextlib import suppress

from imaginate.data import layout
from imaginate.data.dataset import Listing, Skipped
from imaginate.data.listing import from_paths
from imaginate.data.sources import MAX_BYTES, METHODS, ZipSource
from imaginate.data.urls import open_binary
from imaginate.errors import DataError, ImageError
from imaginate.records import ImageSource

TWICE = "twice in the archive"


def read(path: str) -> Listing:
    """All images of a zip, in the order of their names."""
    images: dict[str, ImageSource] = {}
    skipped: list[Skipped] = []
    for info in sorted(members(path), key=lambda info: (name_of(info), info.header_offset)):
        name = name_of(info)
        source = source_of(path, info)
        reason = skip_reason(name, info.file_size) or _cannot_unpack(info) or (TWICE if name in images else "")
        if not reason and not layout.image_suffix(name):
            reason = sniff(source)
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            images[name] = source
    return from_paths("image folder in a zip", list(images.items()), skipped, path)


def members(path: str) -> list[zipfile.ZipInfo]:
    """The files (not folders) of a zip; DataError where it has no readable directory."""
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
            return [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"cannot read {path} as a zip: {error}") from None


def source_of(path: str, info: zipfile.ZipInfo) -> ZipSource:
    """Where a member's bytes lie."""
    return ZipSource(path, info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)


def name_of(info: zipfile.ZipInfo) -> str:
    """A member's name; zips made without the UTF-8 flag often hold UTF-8 all the same."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeEncodeError, UnicodeDecodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def skip_reason(name: str, size: int) -> str:
    """Why a member cannot be an image, from its name and size alone; "" where it may be one."""
    parts = name.split("/")
    if any(part in ("..", "") for part in parts[:-1]) or parts[-1] in ("", ".."):
        return "unsafe path"
    if any(layout.system_folder(part) for part in parts[:-1]):
        return "system folder"
    if layout.system_file(parts[-1]):
        return "system file"
    if size == 0:
        return "empty file"
    return "file too large" if size > MAX_BYTES else ""


def sniff(source: ImageSource) -> str:
    """The first bytes decide where the name does not promise an image."""
    try:
        return "" if layout.looks_like_image(source.read()[:32]) else "not an image"
    except ImageError as error:
        return str(error)


def _cannot_unpack(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "encrypted"
    return "" if info.compress_type in METHODS else "unsupported compression"
