"""How much of the truth does a pool's index find? Measured when it is built, with the kinds of queries that are asked.

Sentences are far from all pictures, so an index that finds its own rows' neighbours may miss half of a sentence's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from imaginate.contract import Guide, TextGuide
from imaginate.pool.list_index import ListIndex, open_index
from imaginate.pool.scan import rank
from imaginate.pool.table import BLOCK, ENOUGH, PoolTable, Recall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERIES, NEAREST = 100, 100
AIM = 0.96  # what the lists are measured to find: other queries than these find a little more or less

log = logging.getLogger("imaginate")
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


def measure(table: PoolTable, guide: Guide) -> None:
    """Keep the share of the true `NEAREST` rows that the index finds: of images of the pool, and of sentences where the
    guide reads text. Of our own index also the least number of lists that have to be visited for `AIM` of either."""
    kinds = {"images": table.sample(QUERIES)}
    if isinstance(guide, TextGuide):
        kinds["sentences"] = _sentences(guide)
    kinds = {kind: queries for kind, queries in kinds.items() if len(queries)}
    truth = {
        kind: [set(one.ids) for one in rank(queries, NEAREST, table.vectors(BLOCK))] for kind, queries in kinds.items()
    }
    index = open_index(table)
    if index is None:
        name = str(table.indexed())
        recall = Recall(
            {
                kind: _share([_found(table, query, name) for query in queries], truth[kind])
                for kind, queries in kinds.items()
            }
        )
    else:
        recall, probes = _fit_probes(index, kinds, truth)
        table.keep_built(replace(index.built, measured=probes))
    table.note_recall(recall)
    if not recall.is_enough:
        found = ", ".join(f"{value:.3f} for {kind}" for kind, value in recall.by_queries.items())
        log.warning(
            f"the index of pool {table.path} finds too little of the true nearest ({found}; {ENOUGH} is enough): it is "
            "not used, a search compares with every row"
        )


def _fit_probes(
    index: ListIndex, kinds: Mapping[str, NDArray[np.float32]], truth: Mapping[str, list[set[str]]]
) -> tuple[Recall, int]:
    """The recall with the fewest lists that reach `AIM`; with the most that pay, where these do not."""
    most = index.built.most_probes()
    probes = 1
    while True:
        recall = Recall(
            {
                kind: _share([set(one.ids) for one in index.search(queries, NEAREST, probes)], truth[kind])
                for kind, queries in kinds.items()
            }
        )
        if probes == most or min(recall.by_queries.values()) >= AIM:
            return recall, probes
        probes = min(most, max(probes + 1, probes * 5 // 4))


def _sentences(guide: TextGuide) -> NDArray[np.float32]:
    import torch

    texts = [sentence.format(word) for word in _WORDS for sentence in _SENTENCES][:QUERIES]
    with torch.inference_mode():
        vectors: NDArray[np.float32] = guide.embed_text(texts).float().cpu().numpy()
    return vectors


def _found(table: PoolTable, query: NDArray[np.float32], kind: str) -> set[str]:
    """What LanceDB's index finds."""
    return {row["id"] for row in table.nearest(query, NEAREST, ("id",), kind=kind)}


def _share(found: Sequence[set[str]], truth: Sequence[set[str]]) -> float:
    return sum(len(some & true) / max(1, len(true)) for some, true in zip(found, truth, strict=True)) / len(truth)
