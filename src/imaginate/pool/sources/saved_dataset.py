"""A folder that is a run, or a HF dataset saved on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imaginate.pool.datasets import unit_of
from imaginate.pool.units import Unit
from imaginate.records import Place


class SavedDataset:
    """Reads it as every command reads a dataset; the class's name is the caption."""

    priority: ClassVar[int] = 20
    has_splits: ClassVar[bool] = True

    def recognises(self, place: Place) -> bool:
        """By the files that mark such folders."""
        return not place.names.isdisjoint({"recipe.yaml", "dataset_info.json", "dataset_dict.json", "state.json"})

    def units(self, place: Place, split: str | None) -> Iterator[Unit]:
        """One unit."""
        yield unit_of(place.path, split)
