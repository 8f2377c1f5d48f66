"""Image folders inside a zip, read where they are: nothing is extracted."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from imaginate.data.archives import image_folder, is_zip
from imaginate.data.zip_members import zip_members
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
        members, notes = zip_members(place.path, part.encoding)
        listing = image_folder("image folder in a zip", members, (), place.path, part)
        return replace(listing, notes=(*notes, *listing.notes))
