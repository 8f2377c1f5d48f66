"""The seed images of a run that is judged again: of the source dataset, or of the run itself where that is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from imaginate.data import DataSpec, load, open_dataset
from imaginate.errors import DataError, RunError
from imaginate.files import Folder
from imaginate.records import Image, Request, Sample
from imaginate.runs import Row, RunFolder


class SeedSamples(Sequence[Sample]):
    """The seeds, listed when a filter asks for one: of the source dataset; where it is gone, of the originals that the
    run kept."""

    def __init__(self, spec: DataSpec, run: RunFolder) -> None:
        self._spec, self._run = spec, run

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        """All of them."""
        try:
            return {s.id: s for s in open_dataset(self._spec).samples}
        except DataError:
            rows = self._run.rows(columns=("file_name", "label", "seed_image", "method"))
            originals = [r for r in rows if r["method"] is None and r["file_name"]]
            return {
                r["seed_image"]: Sample(
                    id=r["seed_image"], label=r["label"], source=_KeptFile(self._run.store, r["file_name"])
                )
                for r in originals
            }

    @cached_property
    def _in_order(self) -> list[Sample]:
        return list(self.by_id.values())

    def __len__(self) -> int:
        return len(self._in_order)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        return self._in_order[index]


@dataclass(frozen=True)
class _KeptFile:
    """An original that the run folder holds."""

    store: Folder
    name: str

    def read(self) -> bytes:
        """The file's bytes."""
        return self.store.get(self.name)


class SeedRequests:
    """Requests with their seed images; one image is kept, since the copies of a seed come one after the other."""

    def __init__(self, samples: SeedSamples, needed: bool) -> None:
        self._samples, self._needed = samples, needed
        self._last: tuple[str, Image] = ("", None)

    def request(self, row: Row) -> Request:
        """What the row's image answered. Raises RunError for a seed image that is needed and not there."""
        key = row["seed_image"]
        if key is None or not self._needed:
            return Request(key=key or f"class/{row['class_name']}", label=row["label"], copies=(), seeds=())
        sample = self._samples.by_id.get(key)
        if sample is None:
            raise RunError(f"seed image {key} is not in the source dataset; give --data PATH to where it is now")
        if self._last[0] != key:
            self._last = (key, load(sample))
        return Request(key=key, label=row["label"], copies=(), seeds=(), sample=sample, image=self._last[1])
