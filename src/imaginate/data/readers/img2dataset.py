"""What img2dataset writes as files: shards `00000/` of `000000000.jpg`, `.json` and `.txt`, with `00000.parquet`."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import ClassVar

from imaginate.data.archives import Member, skip_reason
from imaginate.data.keyed import Shard, list_shards
from imaginate.data.sources.file import FileSource
from imaginate.records import Listing, Part, Place, Skipped

_STATS = re.compile(r"(\d{5,})_stats\.json")


class Img2dataset:
    """The label is in the JSON of each image; the shards are no classes, and rows that failed say why."""

    layout: ClassVar[str] = "img2dataset's files"
    priority: ClassVar[int] = 45

    def recognises(self, place: Place) -> bool:
        """A folder of shards with their statistics."""
        return not place.is_remote and bool(_shards(place))

    def read(self, place: Place, part: Part) -> Listing:
        """All images of all shards."""
        listing = list_shards(place.path, (_shard(place.path, name) for name in _shards(place)), part)
        return replace(listing, format="img2dataset")


def _shards(place: Place) -> list[str]:
    """The names of shard folders, in order."""
    found = (_STATS.fullmatch(name) for name in place.names)
    return sorted(m[1] for m in found if m and m[1] in place.names and os.path.isdir(os.path.join(place.path, m[1])))


def _shard(path: str, name: str) -> Shard:
    folder = os.path.join(path, name)
    files = {file: os.path.join(folder, file) for file in sorted(os.listdir(folder))}
    members = [Member(file, FileSource(full), skip_reason(file, os.path.getsize(full))) for file, full in files.items()]
    return Shard(folder, members, _failed(path, name))


def _failed(path: str, name: str) -> list[Skipped]:
    """The rows of the shard's table that have no image, by their status."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(
            os.path.join(path, f"{name}.parquet"), columns=["key", "status"], use_threads=False, pre_buffer=False
        )
    except (OSError, ValueError, pa.ArrowException):
        return []
    rows = table.to_pylist()
    return [Skipped(f"{name}/{row['key']}", str(row["status"])) for row in rows if row["status"] != "success"]
