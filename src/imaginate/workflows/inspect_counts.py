"""What the summary of a run counts, added up a few rows at a time. A seed takes nine bytes, whatever it is called."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

COUNTED = ("origin", "class_name", "method", "seed_image")
_BEFORE, _AFTER = "_before", "_after"


def is_gain(name: str) -> bool:
    """Whether a column is a score before or after guidance."""
    return name.startswith("score_") and name.endswith((_BEFORE, _AFTER))


class Summary:
    """The kept images: how many of each origin and class, new ones of each class and seed, and what guidance gained."""

    def __init__(self) -> None:
        self.rows = 0
        self.origins: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.new: Counter[str] = Counter()
        self.gains: dict[str, array[float]] = {}
        self._seeds, self._is_new = array("q"), array("b")

    def add(self, batch: pa.RecordBatch) -> None:
        """Count these rows."""
        self.rows += batch.num_rows
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        self.origins.update(columns["origin"])
        self.classes.update(columns["class_name"])
        is_new = [bool(method) for method in columns["method"]]
        self.new.update(name for name, new in zip(columns["class_name"], is_new, strict=True) if new)
        of_seeds = [(seed, new) for seed, new in zip(columns["seed_image"], is_new, strict=True) if seed]
        self._seeds.extend(hash(seed) for seed, _ in of_seeds)
        self._is_new.extend(new for _, new in of_seeds)
        for name in columns:
            after = name.removesuffix(_BEFORE) + _AFTER
            if name.endswith(_BEFORE) and is_gain(name) and after in columns:
                pairs = zip(columns[name], columns[after], strict=True)
                gains = (b - a for a, b in pairs if a is not None and b is not None)
                self.gains.setdefault(name, array("d")).extend(gains)

    def images_per_seed(self) -> dict[int, int]:
        """Number of new images -> how many seeds have so many; empty where no seed has any."""
        import numpy as np

        if not any(self._is_new):
            return {}
        _, seed_of = np.unique(np.frombuffer(self._seeds, np.int64), return_inverse=True)
        counts = np.bincount(seed_of, weights=np.frombuffer(self._is_new, np.int8)).astype(np.int64)
        return {int(n): int(seeds) for n, seeds in zip(*np.unique(counts, return_counts=True), strict=True)}
