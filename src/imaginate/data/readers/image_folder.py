"""Image folders: `<class>/<image>`, nested as deep as one likes, with or without split folders above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from imaginate.data.dicom_files import labelled_by
from imaginate.data.endings import ending, endings
from imaginate.data.known_formats import RAW_SUFFIXES
from imaginate.data.listing import NO_IMAGE, from_paths, printable
from imaginate.data.scanning import scan, scan_url
from imaginate.data.side_tables import NOT_READ, SIDE_TABLES, SideTables, by_lone_table, or_lone_table, read_side_tables
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError
from imaginate.records import ImageSource, Listing, Part, Place, Skipped


class ImageFolder:
    """Reads the images below a folder; the folders on the way to an image are its split and class."""

    layout: ClassVar[str] = "an image folder"
    priority: ClassVar[int] = 90
    by_path: ClassVar[Literal[True]] = True

    def recognises(self, place: Place) -> bool:
        """Any folder that is not empty and that no other reader recognises."""
        return place.kind == "folder" and (place.is_remote or bool(place.names))

    def read(self, place: Place, part: Part) -> Listing:
        """All images, in the order of their names; or those that tables next to them name."""
        found = _found(place)
        if part.label_tag is not None:
            files = [(printable(name), found.source(name).path) for name in found.names]
            return labelled_by(part.label_tag, files, place.path)
        has_tables = any(name.endswith(SIDE_TABLES) for name in found.reasons)
        side = read_side_tables(found.files(), part, place.path, "image folder") if has_tables else SideTables()
        if side.listing is not None:
            return side.listing
        raw = {end for end in endings(found.names) if end.lower() in RAW_SUFFIXES}
        developed = {_stem(name) for name in found.names if name.lower().endswith((".jpg", ".jpeg"))} if raw else set()
        images: list[str] = []
        skipped: list[Skipped] = []
        for name in found.names:
            if name in found.reasons:
                reason = NOT_READ if name in side.unread else found.reasons[name]
                skipped.append(Skipped(printable(name), reason))
            elif raw and ending(name) in raw and _stem(name) in developed:
                skipped.append(Skipped(printable(name), "raw of a JPEG that is there"))
            else:
                images.append(name)
        on_disk = not place.is_remote
        try:
            listing = from_paths("image folder", images, found.opener, skipped, place.path, part.layout, packed=True)
        except DataError as problem:
            return by_lone_table(problem, found.files(), part, place.path, "image folder", on_disk=on_disk)
        return side.with_notes(or_lone_table(listing, found.files, part, place.path, on_disk=on_disk))


@dataclass(frozen=True, slots=True)
class _Found:
    """The files below a place: `names` (relative paths, sorted), and why some of them cannot be images. `urls`: where
    they are behind one. In columns: a million files are as many names, and no more."""

    names: list[str]
    reasons: Mapping[str, str]
    folder: str
    urls: Mapping[str, str]

    @property
    def opener(self) -> Callable[[str], FileSource]:
        """Makes of a name its file. It holds no list of names."""
        return _AtUrl(self.urls) if self.urls else partial(FileSource, folder=self.folder)

    def source(self, name: str) -> FileSource:
        """The file."""
        return self.opener(name)

    def files(self) -> dict[str, ImageSource]:
        """The files that may be images or tables, by their relative paths."""
        return {name: self.source(name) for name in self.names if self.reasons.get(name, NO_IMAGE) == NO_IMAGE}


@dataclass(frozen=True, slots=True)
class _AtUrl:
    """Makes of a name the file behind its URL."""

    urls: Mapping[str, str]

    def __call__(self, name: str) -> FileSource:
        return FileSource(self.urls[name])


def _found(place: Place) -> _Found:
    names: list[str] = []
    reasons: dict[str, str] = {}
    urls: dict[str, str] = {}
    for name, full, reason in (scan_url if place.is_remote else scan)(place.path):
        names.append(name)
        if reason:
            reasons[name] = reason
        if place.is_remote:
            urls[name] = full
    names.sort()
    return _Found(names, reasons, place.path, urls)


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].lower()
