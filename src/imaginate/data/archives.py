"""What zips and tars share: their members, why one cannot be an image, and how they become an image folder."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imaginate.data import layout as names
from imaginate.data.decoding import has_image_suffix, why_not
from imaginate.data.known_formats import HEAD
from imaginate.data.listing import from_paths
from imaginate.data.reading import MAX_BYTES
from imaginate.data.side_tables import NOT_READ, by_lone_table, or_lone_table, read_side_tables
from imaginate.errors import DataError, ImageError
from imaginate.records import ImageSource, Listing, Part, Place, Skipped


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its name, its bytes, and why it cannot be used (or "")."""

    name: str
    source: ImageSource
    reason: str


def is_zip(place: Place) -> bool:
    """Whether a local file is a zip, whatever stands before it in the file."""
    return place.kind == "file" and bool(place.head) and (place.head[:2] == b"PK" or zipfile.is_zipfile(place.path))


def image_folder(format: str, members: Sequence[Member], skipped: Iterable[Skipped], path: str, part: Part) -> Listing:
    """The members as an image folder, in the order of their names, or as its tables say; of two with one name, the
    first is used."""
    files = {member.name: member.source for member in reversed(members) if not member.reason}
    side = read_side_tables(files, part, path, format)
    if side.listing is not None:
        return side.listing
    images: dict[str, ImageSource] = {}
    left = list(skipped)
    for member in sorted(members, key=lambda member: member.name):
        reason = member.reason or ("twice in the archive" if member.name in images else "")
        if not reason and not has_image_suffix(member.name):
            reason = NOT_READ if member.name in side.unread else _sniff(member)
        if reason:
            left.append(Skipped(member.name, reason))
        else:
            images[member.name] = member.source
    try:
        listing = from_paths(format, list(images), images.__getitem__, left, path, part.layout)
    except DataError as problem:
        return by_lone_table(problem, files, part, path, format)
    return side.with_notes(or_lone_table(listing, lambda: files, part, path))


def skip_reason(name: str, size: int) -> str:
    """Why a member cannot be an image, from its name and size alone; "" where it may be one."""
    parts = name.split("/")
    if any(part in ("..", "") for part in parts[:-1]) or parts[-1] in ("", ".."):
        return "unsafe path"
    if any(names.is_system_folder(part) for part in parts[:-1]):
        return "system folder"
    if names.is_system_file(parts[-1]):
        return "system file"
    if size == 0:
        return "empty file"
    return "file too large" if size > MAX_BYTES else ""


def _sniff(member: Member) -> str:
    """The first bytes decide where the name does not promise an image."""
    try:
        return why_not(member.source.read()[:HEAD], member.name)
    except ImageError as error:
        return str(error)
