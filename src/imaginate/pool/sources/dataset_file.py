"""A file that `imaginate` reads as a dataset: a zip, an npz, a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imaginate.pool.datasets import unit_of
from imaginate.pool.units import Unit
from imaginate.records import Place


class DatasetFile:
    """Reads it as every command reads a dataset; the class's name is the caption, unless a table has its own."""

    priority: ClassVar[int] = 60
    has_splits: ClassVar[bool] = True

    def recognises(self, place: Place) -> bool:
        """Any local file that is nothing else."""
        return place.kind == "file" and not place.is_remote

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """One unit."""
        yield unit_of(place.path, split)
