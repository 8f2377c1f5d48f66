"""Image folders inside a zip, read where they are: nothing is extracted."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from typing import ClassVar, Literal

from imaginate.data.archives import Member, image_folder, is_zip, skip_reason
from imaginate.data.sources.zip import METHODS, ZipSource
from imaginate.data.urls import open_binary
from imaginate.errors import DataError
from imaginate.records import Listing, Part, Place


class Zip:
    """Reads the images of a zip as an image folder."""

    layout: ClassVar[str] = "an image folder in a zip"
    priority: ClassVar[int] = 40
    by_path: ClassVar[Literal[True]] = True

    def recognises(self, place: Place) -> bool:
        """A zip, local or behind a URL."""
        return place.head[:2] == b"PK" if place.is_remote else is_zip(place)

    def read(self, place: Place, part: Part) -> Listing:
        """All images, in the order of their names."""
        found = sorted(_infos(place.path), key=lambda info: info.header_offset)
        return image_folder(
            "image folder in a zip", [_member(place.path, info) for info in found], (), place.path, part.layout
        )


def _member(path: str, info: zipfile.ZipInfo) -> Member:
    source = ZipSource(path, info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)
    name = _name_of(info)
    return Member(name, source, skip_reason(name, info.file_size) or _cannot_unpack(info))


def _infos(path: str) -> list[zipfile.ZipInfo]:
    """The files (not folders) of a zip; DataError where it has no readable directory."""
    try:
        with open_binary(path) as file, zipfile.ZipFile(file) as archive:
            return [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"cannot read {path} as a zip: {error}") from None


def _name_of(info: zipfile.ZipInfo) -> str:
    """A member's name; zips made without the UTF-8 flag often hold UTF-8 all the same."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeEncodeError, UnicodeDecodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _cannot_unpack(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "encrypted"
    return "" if info.compress_type in METHODS else "unsupported compression"
