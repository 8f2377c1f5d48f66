"""What only the whole run can decide: near-duplicates among all kept images, and sample-agnostic selection.

Works on the shards' rows, in shard order, so that the outcome does not depend on who made which shard. Images that are
rejected here move from `images/` to `rejected/`; doing it twice changes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from imaginate import select
from imaginate.contract import Filter, RunFilter
from imaginate.engine.context import RunContext
from imaginate.engine.plan import Plan
from imaginate.engine.resolve import ResolvedRecipe
from imaginate.files import Folder
from imaginate.records import Candidate, Request

Refused = dict[str, str]


def run_filters(
    store: Folder, recipe: ResolvedRecipe, plan: Plan, shards: Sequence[str], stay: Collection[str] = ()
) -> Refused:
    """File name -> reason, for the images that the shards kept and the run does not; their files are moved. `stay`:
    images that were kept before the run grew: they come first, and none of them is refused."""
    agnostic = recipe.select.scope != "sample"
    refused: Refused = {}
    for named in recipe.run_filters:
        rows = (row for row in _in_turn(store, shards, stay) if row["file_name"] not in refused)
        if isinstance(named.filter, RunFilter) and named.filter.by_signature:
            refused.update(_by_signature(named.filter, rows))
        else:
            context = RunContext(recipe, plan.labels, plan.samples)
            refused.update(_by_class(named.filter, list(rows), store, context))
    if agnostic:
        refused.update(_agnostic(recipe, plan, [r for r in _kept(store, shards) if r["file_name"] not in refused]))
    refused = {name: reason for name, reason in refused.items() if name not in stay}
    for name in refused:
        target = rejected_name(name)
        if store.exists(name):
            store.move(name, target)
    return refused


def rejected_name(name: str) -> str:
    """The place of a rejected image: `images/rose/x.png` -> `rejected/rose/x.png`."""
    return "rejected/" + name.split("/", 1)[1]


def other_side(name: str) -> str:
    """The same image's place on the other side: `images/rose/x.png` and `rejected/rose/x.png`."""
    return rejected_name(name) if name.startswith("images/") else "images/" + name.split("/", 1)[1]


def _in_turn(store: Folder, shards: Sequence[str], stay: Collection[str]) -> Iterator[dict[str, Any]]:
    """Rows of kept new images, those that stay before the others."""
    if stay:
        yield from (row for row in _kept(store, shards) if row["file_name"] in stay)
    yield from (row for row in _kept(store, shards) if row["file_name"] not in stay)


def _kept(store: Folder, shards: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of kept new images, one shard in memory at a time."""
    import pyarrow.parquet as pq

    for shard in shards:
        for row in pq.read_table(io.BytesIO(store.get(shard)), use_threads=False, pre_buffer=False).to_pylist():
            if row["kept"] and row["method"] is not None:
                yield row


def _by_signature(judge: RunFilter, rows: Iterator[Mapping[str, Any]]) -> Refused:
    memory = judge.empty_memory()
    verdicts = ((row, judge.judge_next(memory, row["file_name"], row["info_signature"])) for row in rows)
    return {row["file_name"]: verdict.reason for row, verdict in verdicts if not verdict.keep}


def _by_class(judge: Filter, rows: Sequence[Mapping[str, Any]], store: Folder, context: RunContext) -> Refused:
    """With embeddings: each class alone, its images in memory."""
    refused: Refused = {}
    for label in sorted({row["label"] for row in rows}):
        members = [row for row in rows if row["label"] == label]
        candidates = [_candidate(row, store) for row in members]
        requests = [Request(key=c.key, label=label, copies=(), seeds=()) for c in candidates]
        verdicts = judge.judge(candidates, requests, context)
        pairs = zip(members, verdicts, strict=True)
        refused.update({row["file_name"]: verdict.reason for row, verdict in pairs if not verdict.keep})
    return refused


def _candidate(row: Mapping[str, Any], store: Folder) -> Candidate:
    from imaginate.data.decoding import decode_tensor

    where = row["file_name"] if store.exists(row["file_name"]) else rejected_name(row["file_name"])
    image = decode_tensor(store.get(where))
    key = row["seed_image"] or row["class_name"]
    return Candidate(key=key, label=row["label"], copy=row["copy"], seed=row["rng_seed"], image=image)


def _agnostic(recipe: ResolvedRecipe, plan: Plan, rows: Sequence[Mapping[str, Any]]) -> Refused:
    """GIF B.1: the best of each class, or of the dataset, from any seed."""
    totals = {label: plan.counts[info.name]["new"] for label, info in enumerate(plan.labels)}
    slim = [{k: row.get(k) for k in ("label", "seed_image", "copy", f"score_{recipe.select.by}")} for row in rows]
    chosen = set(select.choose_agnostic(recipe.select, slim, totals))
    return {row["file_name"]: "not selected" for i, row in enumerate(rows) if i not in chosen}
