"""The kinds of vector indexes that a pool may have, and what is kept of the one that was built.

`ivf-flat` in a folder is our own (`lists.py`); the others, and all on an object store, are LanceDB's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from imaginate.errors import RunError

EXACT_BELOW = 500_000  # below this many rows a full scan is fast enough, and exact
EXACT_BELOW_REMOTE = 2_000_000  # of a pool on an object store, whose index is slow to build
LEAST_ROWS = 256  # that an index needs
OWN = "ivf-flat"
INDEXES = ("auto", "none", "ivf-flat", "ivf-sq", "ivf-pq", "ivf-rq", "ivf-hnsw-sq")


@dataclass(frozen=True)
class BuiltIndex:
    """An index as it was built: its number of lists, which rows that come later do not change, and of rows.
    `measured`: the lists that a search has to visit to find enough. Of our own also where it is kept: its kind, the
    folder of its files, and the version of the table that they are of."""

    lists: int
    rows: int
    measured: int = 0
    kind: str = field(default="", compare=False)
    folder: str = field(default="", compare=False)
    version: int = field(default=0, compare=False)

    def probes(self, limit: int, rows: int) -> int:
        """Lists to visit: as many as were measured to be enough, else one in twenty; and enough to hold several times
        what is wanted of a pool of `rows`."""
        wanted = (self.measured or math.ceil(self.lists / 20)) + math.ceil(4 * limit * self.lists / max(1, rows))
        return min(self.lists, wanted if self.measured else max(8, wanted))

    def most_probes(self) -> int:
        """The lists beyond which a search costs about as much as a full scan."""
        return min(self.lists, max(8, self.lists // 8))

    def is_outgrown(self, rows: int) -> bool:
        """Whether most rows of the pool came after the index was built."""
        return rows > 2 * self.rows


def kind_for(kind: str, rows: int, *, is_local: bool) -> str:
    """The kind to build for so many rows; `none` where a full scan does."""
    if kind == "auto" and is_local:
        kind = "none" if rows < EXACT_BELOW else OWN
    elif kind == "auto":
        kind = "none" if rows < EXACT_BELOW_REMOTE else "ivf-hnsw-sq"
    return "none" if rows < LEAST_ROWS else kind


def partitions(rows: int) -> int:
    """The number of lists of an inverted file: the square root of the rows, at least 1."""
    return max(1, round(math.sqrt(rows)))


def lists_of(kind: str, rows: int) -> int:
    """The number of lists of an index of this kind (ours, or LanceDB's `IvfHnswSq`): a graph searches within a list,
    so that it has few long ones."""
    return max(1, partitions(rows) // 16) if "hnsw" in kind.lower() else partitions(rows)


def config(kind: str, lists: int) -> Any:
    """LanceDB's settings for an index of this kind. RunError for an unknown one."""
    from lancedb import index

    # 64 vectors a list are enough to place the centres; the default of 256, with 50 rounds, is mostly waiting.
    common: dict[str, Any] = {
        "distance_type": "cosine", "max_iterations": 15, "sample_rate": 64, "num_partitions": lists,
    }  # fmt: skip
    match kind:
        case "ivf-flat":
            return index.IvfFlat(**common)
        case "ivf-sq":
            return index.IvfSq(**common)
        case "ivf-pq":
            return index.IvfPq(**common)
        case "ivf-rq":
            return index.IvfRq(**common)
        case "ivf-hnsw-sq":
            return index.IvfHnswSq(**common)
    raise RunError(f"index must be one of {', '.join(INDEXES)}, got {kind!r}")
