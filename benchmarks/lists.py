"""The pool's own index and faiss IVF-flat, side by side in one process: build, memory, and search at equal recall.

    python benchmarks/lists.py --rows 100000
    python benchmarks/lists.py --rows 1000000
    python benchmarks/lists.py --rows 10000000 --dim 64

Vectors and queries as in `retrieval.py`. Both have as many lists as the square root of the rows, trained on 64 rows a
list in 15 rounds at most. faiss reads its vectors from a mapped .npy file and holds them in memory; the pool reads
them from its table and maps its lists. Each gets the fewest lists with recall@100 >= 0.95 on the 100 queries; then both
answer the same batch of 100 in turns, and the same 100 one by one. Processor time (all threads) is what to compare.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import retrieval
from retrieval import PIECE, QUERIES, TARGET, TOP, Clock, Peak, rss, size_of

STEPS = (1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
ROUNDS = 5


class PicturesOnly:
    """A guide that reads no text, so that recall is measured with vectors like the rows."""


def run(rows: int, dim: int, with_faiss: bool) -> dict[str, Any]:
    """Everything, in a folder that goes at the end."""
    retrieval.DIM = dim
    folder = tempfile.mkdtemp(prefix="lists-")
    try:
        table, appended = filled(f"{folder}/pool", rows, dim)
        ours, index, pool = own(table, dim, rows)
        ours = {**appended, **ours}
        asked, right = retrieval.queries(rows), retrieval.truth(rows)
        ways = {"pool": lambda n: lambda q: [[int(i, 16) for i in one.ids] for one in index.search(q, TOP, n)]}
        found: dict[str, Any] = {"rows": rows, "dim": dim, "pool": ours}
        if with_faiss:
            found["faiss"], ways["faiss"] = other(f"{folder}/vectors.npy", rows, dim)
        searches = {}
        for name, way in ways.items():
            probes, recall = least(way, asked, right)
            searches[name] = way(probes)
            found[name].update(probes=probes, recall=recall)
        found["pool"]["recall_as_built"] = recall_of(ways["pool"](index.built.measured)(asked), right)
        found.update(timed(searches, asked, pool))
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def filled(path: str, rows: int, dim: int) -> tuple[Any, dict[str, float]]:
    """The table of a pool with all vectors, and the same in a .npy file next to it."""
    from imaginate.pool.rows import Header
    from imaginate.pool.table import PoolTable

    table = PoolTable.create(path, Header(guide="synthetic", dim=dim, probe=""))
    plain = np.lib.format.open_memmap(f"{Path(path).parent}/vectors.npy", "w+", np.float32, (rows, dim))
    peak, clock = Peak(), Clock()
    for number, part in enumerate(retrieval.pieces(rows)):
        table.append_rows([{"id": f"{number * PIECE + i:032x}", "vector": v} for i, v in enumerate(part)])
        plain[number * PIECE : number * PIECE + len(part)] = part
    peak.stop()
    plain.flush()
    del plain
    table.tidy()
    table.index_ids()
    return table, clock.read("append")


def own(table: Any, dim: int, rows: int) -> tuple[dict[str, Any], Any, Any]:
    """The pool's index: built, measured, opened."""
    import torch  # noqa: F401  (a pool that is built has it: its guide runs on it)

    from imaginate.pool.lance import LancePool
    from imaginate.pool.list_index import open_index
    from imaginate.pool.recall import measure

    base, peak, clock = rss(), Peak(), Clock()
    table.index_vectors("ivf-flat")
    built, highest, clock = clock.read("index"), peak.lap(), Clock()
    measure(table, PicturesOnly())
    measured = clock.read("measure")
    peak.stop()
    index = open_index(table)
    return {
        "lists": index.built.lists, **built, "index_peak_mb": highest, "base_mb": round(base), **measured,
        "vectors_mb": round(rows * dim * 4 / 1e6), "files_mb": round(size_of(f"{table.path}/lists") / 1e6),
        "probes_as_built": index.built.measured, "recall_as_measured": dict(table.recall().by_queries),
    }, index, LancePool(table.path)  # fmt: skip


def other(path: str, rows: int, dim: int) -> tuple[dict[str, Any], Callable[[int], Any]]:
    """faiss IndexIVFFlat, in memory."""
    import faiss

    lists = max(1, round(rows**0.5))
    vectors = np.load(path, mmap_mode="r")
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 15
    base, peak, clock = rss(), Peak(), Clock()
    index.train(np.ascontiguousarray(vectors[np.linspace(0, rows - 1, min(rows, 64 * lists)).astype(int)]))
    for start in range(0, rows, 65_536):
        index.add(np.ascontiguousarray(vectors[start : start + 65_536]))
    built = clock.read("index")
    peak.stop()

    def way(probes: int) -> Any:
        def ask(queries: np.ndarray) -> list[list[int]]:
            index.nprobe = probes
            return index.search(queries, TOP)[1].tolist()

        return ask

    return {"lists": lists, **built, "index_peak_mb": peak.lap(), "base_mb": round(base)}, way


def recall_of(found: list[list[int]], right: np.ndarray) -> float:
    """The share of the true nearest that was found."""
    return round(float(np.mean([len({*f} & {*r}) / TOP for f, r in zip(found, right.tolist(), strict=True)])), 4)


def least(way: Callable[[int], Any], asked: np.ndarray, right: np.ndarray) -> tuple[int, float]:
    """The fewest lists with enough recall, or the most that were tried."""
    for probes in STEPS:
        recall = recall_of(way(probes)(asked), right)
        if recall >= TARGET:
            break
    return probes, recall


def timed(searches: dict[str, Any], asked: np.ndarray, pool: Any) -> dict[str, Any]:
    """Milliseconds a query: a batch of 100, and one by one; the median of rounds in turns."""
    import torch

    tensor = torch.from_numpy(asked)
    ways: dict[str, Callable[[], Any]] = {}
    for name, search in searches.items():
        ways[f"{name}_batch"] = lambda search=search: search(asked)
        ways[f"{name}_one_by_one"] = lambda search=search: [search(q[None]) for q in asked]
    ways["pool_search_with_facts"] = lambda: pool.search(tensor, TOP)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    base = rss()
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.perf_counter(), time.process_time()
            way()
            if number:
                spent[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    out: dict[str, Any] = {"rss_mb_before_and_after_searches": [round(base), round(rss())]}
    for name, rounds in spent.items():
        wall, cpu = (1e3 * statistics.median(column) / QUERIES for column in zip(*rounds, strict=True))
        out[name] = {"cpu_ms_a_query": round(cpu, 3), "wall_ms_a_query": round(wall, 3)}
    return out


def main() -> None:
    from _machine import write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--no-faiss", action="store_true", help="the pool's own index alone")
    parser.add_argument("--name", help="of the file in benchmarks/results")
    args = parser.parse_args()
    results = run(args.rows, args.dim, not args.no_faiss)
    print(results)
    write(args.name or f"lists-{args.rows}x{args.dim}", results)


if __name__ == "__main__":
    sys.exit(main())
