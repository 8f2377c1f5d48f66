"""A WebDataset of several tars: a folder of them (`train-000000.tar`, `val-000000.tar`, ...), or a pattern
`train-{000000..000009}.tar`."""

from __future__ import annotations

import glob
import os
import re
from typing import ClassVar

from imaginate.data.keyed import Shard, list_shards
from imaginate.data.tar_members import members
from imaginate.records import Listing, Part, Place

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


class WebDataset:
    """Reads tars of images with their labels; splits are taken from the names of the tars."""

    layout: ClassVar[str] = "WebDataset tars"
    priority: ClassVar[int] = 80

    def recognises(self, place: Place) -> bool:
        """A folder with tars in it, or a pattern that is no file."""
        if place.kind == "missing":
            return _BRACES.search(place.path) is not None
        return any(name.endswith(".tar") for name in place.names)

    def read(self, place: Place, part: Part) -> Listing:
        """All samples of all tars, one tar at a time."""
        return list_shards(place.path, (Shard(file, *members(file)) for file in _shards(place.path)), part)


def _shards(path: str) -> list[str]:
    """The tars of a folder or of a `{000..009}` pattern."""
    match = _BRACES.search(path)
    if match and not os.path.isdir(path):
        width = len(match[1])
        numbers = range(int(match[1]), int(match[2]) + 1)
        return [path[: match.start()] + str(n).zfill(width) + path[match.end() :] for n in numbers]
    found = [os.path.join(glob.escape(path), *at, "*.tar") for at in ((), ("*",))]
    return sorted(file for pattern in found for file in glob.glob(pattern))
