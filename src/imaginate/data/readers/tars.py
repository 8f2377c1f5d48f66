"""One tar: WebDataset where some image has a label file of the same key, else an image folder."""

from __future__ import annotations

from typing import ClassVar, Literal

from imaginate.data.archives import image_folder
from imaginate.data.keyed import Shard, is_keyed, list_shards
from imaginate.data.tar_headers import is_tar
from imaginate.data.tar_members import members
from imaginate.records import Listing, Part, Place


class Tar:
    """Reads a tar, packed or not; its members say which layout it has, and are listed once."""

    layout: ClassVar[str] = "an image folder or a WebDataset in a tar"
    priority: ClassVar[int] = 70
    by_path: ClassVar[Literal[True]] = True

    def recognises(self, place: Place) -> bool:
        """A tar by its content, behind a URL by its name."""
        if place.kind != "file" or not place.head:
            return False
        if place.is_remote:
            return ".tar" in place.path.lower()
        try:
            return is_tar(place.path)
        except (OSError, EOFError):
            return False

    def read(self, place: Place, part: Part) -> Listing:
        """All images of the tar."""
        found, skipped = members(place.path)
        if part.layout == "auto" and is_keyed(found):
            return list_shards(place.path, [Shard(place.path, found, skipped)], part)
        return image_folder("image folder in a tar", found, skipped, place.path, part)
