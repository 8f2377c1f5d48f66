"""What is in a pool, for a person."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imaginate.models.weights import described
from imaginate.pool.database import explained
from imaginate.pool.rows import LATER
from imaginate.pool.table import PoolTable

SHOWN = 12


def describe(path: str) -> dict[str, Any]:
    """Counts, guide, index, sources and reasons of a pool; reads no image."""
    table = PoolTable.open(path)
    with explained(path):
        rows = len(table)
        stats = table.rows.stats()
        skipped = Counter(table.skipped.search().select(["reason"]).limit(None).to_arrow()["reason"].to_pylist())
        units = table.units.search().limit(None).to_arrow()
    header = table.header
    done = {unit for unit, stamp in zip(units["unit"].to_pylist(), units["stamp"].to_pylist(), strict=True) if stamp}
    open_ = set(units["unit"].to_pylist()) - done
    return {
        "pool": path,
        "images": rows,
        "guide": header.guide,
        "weights": described(header.weights),
        "embedding": f"{header.dim} numbers",
        "keeps": header.store,
        "bytes": int(stats["total_bytes"]),
        "index": _index(table),
        "pieces done": len(done),
        "unfinished": f"{', '.join(sorted(open_)[:3])}: run the build again" if open_ else "nothing",
        "scores": _scores(table),
        "skipped": dict(skipped.most_common(SHOWN)),
    }


def _index(table: PoolTable) -> str:
    """The kind of the index, how much it finds, and whether it is used."""
    kind, recall, built = table.indexed(), table.recall(), table.built_index()
    if kind is None:
        return "none (searched exactly)"
    found = ", ".join(f"{value:.0%} for {queries}" for queries, value in sorted(recall.by_queries.items()))
    use = "used" if recall.is_enough else "not used, searched exactly"
    visits = f", visits {built.measured:,} of {built.lists:,} lists" if built.measured else ""
    return f"{kind}, {use} (finds {found or 'an unknown share'} of the true nearest{visits})"


def _scores(table: PoolTable) -> dict[str, int]:
    counts = {}
    for name in table.held(LATER):
        count = table.rows.count_rows(f"{name} IS NOT NULL")
        if count:
            counts[name] = int(count)
    return counts
