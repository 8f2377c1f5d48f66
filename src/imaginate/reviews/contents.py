"""The images of a run as the page gets them: one list a column, so that 100,000 images are a few megabytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imaginate.errors import ImaginateError, RunError
from imaginate.runs import KEPT, REJECTED, Row, RunFolder

_COLUMNS = ("file_name", "class_name", "seed_image", "method", "copy", "kept", "reason", "soft_label", "info_before")
ReadSeed = Callable[[str], bytes | None]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """New images that have a file, in the order of the run; and the files of the seed images that the run holds."""

    run: RunFolder
    rows: list[Row]
    seeds: dict[str, str]
    classes: list[str]
    read_seed: ReadSeed | None = None

    def listing(self) -> dict[str, Any]:
        """Columns of the images; texts that come again and again are numbers of a list."""
        scores = [name for name in (self.rows[0] if self.rows else {}) if name.startswith("score_")]
        reasons, methods = _numbered(self.rows, "reason"), _numbered(self.rows, "method")
        place = {name: number for number, name in enumerate(self.classes)}
        return {
            "run": self.run.root,
            "classes": self.classes,
            "reasons": list(reasons),
            "methods": list(methods),
            "image": [image_name(row) for row in self.rows],
            "class": [place.get(row["class_name"], -1) for row in self.rows],
            "kept": [int(row["kept"]) for row in self.rows],
            "reason": [reasons[row["reason"] or ""] for row in self.rows],
            "method": [methods[row["method"] or ""] for row in self.rows],
            "mixed": [number for number, row in enumerate(self.rows) if row.get("soft_label") is not None],
            "scores": {name[6:]: [row[name] for row in self.rows] for name in scores},
        }

    def image(self, number: int) -> bytes | None:
        """The file of an image, on whichever side it is now."""
        if not 0 <= number < len(self.rows):
            return None
        name = self.rows[number]["file_name"]
        for side in ("images", "rejected"):
            place = f"{side}/{name.split('/', 1)[1]}"
            if self.run.store.exists(place):
                return self.run.store.get(place)
        return None

    def seed(self, number: int) -> bytes | None:
        """The seed image of an image: from the run, else from the dataset; None of an image of a class."""
        key = self.rows[number]["seed_image"] if 0 <= number < len(self.rows) else None
        if key is None:
            return None
        if key in self.seeds:
            try:
                return self.run.store.get(self.seeds[key])
            except (ImaginateError, OSError):
                return None
        return self.read_seed(key) if self.read_seed else None


def read_contents(run: RunFolder, read_seed: ReadSeed | None = None) -> Contents:
    """A finished run, or the finished shards of one that is not. RunError where nothing is there."""

    def wanted(name: str) -> bool:
        return name in _COLUMNS or name.startswith("score_")

    tables = [KEPT, REJECTED] if run.is_finished else run.finished_shards()
    rows = [row for name in tables if run.store.exists(name) for row in run.rows(name, columns=wanted)]
    if not rows:
        run.check_finished()
        raise RunError(f"run {run.root} has no images yet: `imaginate expand` on it goes on")
    new = [row for row in rows if row["method"] is not None and row["file_name"]]
    names = {name for row in new for name in row}
    seeds = {str(row["seed_image"]): str(row["file_name"]) for row in rows if row["method"] is None}
    labels = run.labels
    classes = list(labels.names) if labels is not None else sorted({row["class_name"] for row in rows})
    full = [{**dict.fromkeys(sorted(names)), **row} for row in new]
    return Contents(run=run, rows=full, seeds=seeds, classes=classes, read_seed=read_seed)


def image_name(row: Row) -> str:
    """The name by which decisions name an image."""
    return str(row["file_name"]).rsplit("/", 1)[-1]


def _numbered(rows: list[Row], column: str) -> dict[str, int]:
    """Each text of a column, and its number."""
    return {text: number for number, text in enumerate(dict.fromkeys(row[column] or "" for row in rows))}
