"""Image folders: `<class>/<image>`, nested as deep as one likes, with or without split folders above."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import ClassVar, Literal

from imaginate.data.dicom_files import labelled_by
from imaginate.data.known_formats import RAW_SUFFIXES
from imaginate.data.listing import from_paths, printable
from imaginate.data.scanning import scan, scan_url
from imaginate.data.sources.file import FileSource
from imaginate.data.table_listing import SIDE_TABLES, by_lone_table, list_tables, or_lone_table, tables_in
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
        images: list[tuple[str, ImageSource]] = []
        skipped: list[Skipped] = []
        found = _found(place)
        if part.label_tag is not None:
            files = [(printable(name), source.path) for name, source, _ in found]
            return labelled_by(part.label_tag, files, place.path)
        if any(name.endswith(SIDE_TABLES) for name, *_ in found) and (tables := tables_in(_files(found), part)):
            return list_tables(tables, place.path, "image folder")
        raw = any(_stem(name, RAW_SUFFIXES) for name, *_ in found)
        developed = {stem for name, *_ in found if (stem := _stem(name, (".jpg", ".jpeg")))} if raw else set()
        for name, source, reason in found:
            if not reason and _stem(name, RAW_SUFFIXES) in developed:
                skipped.append(Skipped(printable(name), "raw of a JPEG that is there"))
            elif reason:
                skipped.append(Skipped(printable(name), reason))
            else:
                images.append((name, source))
        on_disk = not place.is_remote
        try:
            listing = from_paths("image folder", images, skipped, place.path, part.layout)
        except DataError as problem:
            return by_lone_table(problem, _files(found), part, place.path, "image folder", on_disk=on_disk)
        return or_lone_table(listing, lambda: _files(found), part, place.path, on_disk=on_disk)


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    """The name without its ending, where that is one of these; else ""."""
    return name.rsplit(".", 1)[0].lower() if name.lower().endswith(suffixes) else ""


def _found(place: Place) -> list[tuple[str, FileSource, str]]:
    """(relative path, file, reason to skip or "") of every file, in the order of the paths."""
    if place.is_remote:
        rows = [(name, FileSource(full), reason) for name, full, reason in scan_url(place.path)]
    else:
        rows = [(name, FileSource(name, place.path), reason) for name, _, reason in scan(place.path)]
    return sorted(rows, key=itemgetter(0))


def _files(found: Iterable[tuple[str, FileSource, str]]) -> dict[str, ImageSource]:
    """The files that may be images or tables, by their relative paths."""
    return {name: source for name, source, reason in found if reason in ("", "not an image")}
