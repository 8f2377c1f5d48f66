"""How much of the truth does a pool's index find? Measured when it is built, with the kinds of queries that are asked.

Sentences are far from all pictures, so an index that finds its own rows' neighbours may miss half of a sentence's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imaginate.contract import Guide, TextGuide
from imaginate.pool.scan import rank
from imaginate.pool.table import PoolTable, Recall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERIES, NEAREST = 100, 40
_WORDS = (
    "dog", "cat", "bird", "fish", "tree", "flower", "car", "house", "person", "table", "chair", "food", "mountain",
    "river", "street", "ship", "train", "insect", "fruit", "tool",
)  # fmt: skip
_SENTENCES = (
    "a photo of a {}.",
    "a close-up photo of a {}.",
    "a drawing of a {}.",
    "a photo of many {}s.",
    "a dark {}.",
)


def measure_recall(table: PoolTable, guide: Guide) -> Recall:
    """The share of the true `NEAREST` rows that the index finds: of sentences, where the guide reads text, and of
    images."""
    kinds = {"images": _rows(table)}
    if isinstance(guide, TextGuide):
        kinds["sentences"] = _sentences(guide)
    return Recall({kind: _recall(table, queries) for kind, queries in kinds.items() if len(queries)})


def _sentences(guide: TextGuide) -> NDArray[np.float32]:
    import torch

    texts = [sentence.format(word) for word in _WORDS for sentence in _SENTENCES][:QUERIES]
    with torch.inference_mode():
        vectors: NDArray[np.float32] = guide.embed_text(texts).float().cpu().numpy()
    return vectors


def _rows(table: PoolTable) -> NDArray[np.float32]:
    """Rows spread evenly over the pool, each moved towards another one: pictures that the pool does not have."""
    import numpy as np

    count = len(table)
    wanted = {count * i // QUERIES for i in range(QUERIES)}
    found, place = [], 0
    for _, vectors in table.vectors(65_536):
        found += [vectors[i - place] for i in sorted(wanted) if place <= i < place + len(vectors)]
        place += len(vectors)
    rows = np.stack(found)
    mixed = rows + 0.5 * np.roll(rows, 1, axis=0)
    unit: NDArray[np.float32] = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True).clip(1e-12)).astype("float32")
    return unit


def _recall(table: PoolTable, queries: NDArray[np.float32]) -> float:
    kind = str(table.indexed())
    truth = rank(queries, NEAREST, table.vectors(65_536))
    shares = []
    for query, true in zip(queries, truth, strict=True):
        found = {row["id"] for row in table.nearest(query, NEAREST, ("id",), kind=kind)}
        shares.append(len(found & set(true.ids)) / max(1, len(true.ids)))
    return sum(shares) / len(shares)
