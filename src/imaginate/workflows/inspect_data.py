"""What a dataset is read as: the layout that was recognised, its parts and classes, and what is left out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from imaginate.data import Dataset, open_dataset
from imaginate.data.frames import frames_note
from imaginate.data.notes import shown_by_caller
from imaginate.data.packed import splits_of
from imaginate.errors import listed
from imaginate.files import RECIPE, RUN
from imaginate.records import LayoutWord

_OF_A_RUN = frozenset({RECIPE, RUN, "shards"})
SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class InspectedData:
    """A dataset as it is read. `print` it for a summary. `part`: what is read by default; `whole`: everything."""

    part: Dataset
    whole: Dataset

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        splits = Counter(split or "" for split in splits_of(self.whole.samples))
        return {
            "path": self.part.spec.path, "format": self.part.format, "split": self.part.split, "splits": dict(splits),
            "classes": dict(self.part.counts()), "left_out": dict(self.whole.reasons()), "notes": self.notes(),
        }  # fmt: skip

    def notes(self) -> list[str]:
        """What was noticed in what is read by default, then in everything, each remark once; then on its names."""
        more = [note for note in self.whole.notes if note not in self.part.notes]
        about_names = frames_note(self.whole.samples)
        return [*self.part.notes, *(f"all splits: {note}" for note in more), *([about_names] if about_names else [])]

    def __str__(self) -> str:
        data, whole = self.part, self.whole
        lines = [f"{data.spec.path}: {data.format}", "", *(f"note: {note}" for note in self.notes()), ""]
        splits = Counter(splits_of(whole.samples))
        for split in [*whole.splits, *([None] if splits[None] else [])]:
            lines.append(f"  {splits[split]:>8}  {'images' if split is None else split}")
        titles = [n if n == t else f"{n} ({t})" for n, t in zip(data.labels.names, data.labels.titles, strict=True)]
        lines += ["", f"{len(titles)} class{'es' * (len(titles) != 1)}: {listed(titles, SHOWN)}"]
        if reasons := whole.reasons():
            lines += ["", f"left out: {len(whole.skipped)}"]
            lines += [f"  {count:>8}  {reason}" for reason, count in reasons.items()]
        return "\n".join(lines)


def is_data(path: str) -> bool:
    """Whether something that is no run is at a path."""
    if os.path.isdir(path):
        names = os.listdir(path)
        return bool(names) and _OF_A_RUN.isdisjoint(names)
    return os.path.isfile(path)


def inspect_data(path: str | os.PathLike[str], *, layout: LayoutWord = "auto") -> InspectedData:
    """What a dataset is read as. Raises DataError where it cannot be read."""
    with shown_by_caller():
        part = open_dataset(path, layout=layout)
        return InspectedData(part=part, whole=open_dataset(path, layout=layout, split="all") if part.split else part)
