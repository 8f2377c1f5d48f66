"""Class sentences, searched in a pool of real images: recall and cost a query, side by side with faiss HNSW.

    python benchmarks/sentences.py search
    python benchmarks/sentences.py search --images 100000
    python benchmarks/sentences.py commands --against ../imaginate-0.1.0

`search`: the first images of Tiny-ImageNet under the bundled guide; 100 sentences, one a class, asked in one batch for
their 40 nearest. In turns, in one process, on one thread: the pool's own search, a scan by LanceDB (one query at a
time, as version 0.1.0 searched exactly), and faiss IndexHNSWFlat at the first breadth that reaches recall 0.95.

`commands`: `imaginate guide`, `pool build` and `expand --method retrieval` over the same images with this tree and with
another, in turns. A ratio below 1: this tree is faster. `retrieval, same work`: without the judge, which says whether
new images still show their class; the first build of 0.1.0 had none.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TINY = Path("../shared/data/tiny-imagenet-64")
TOP, SENTENCES, ROUNDS, TARGET = 40, 100, 5, 0.95
BREADTHS = (40, 80, 160, 320, 640, 1280, 2560, 5120)


def subset(images: int, folder: Path) -> Path:
    """A parquet file of every n-th training image, so that each class has its share."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.read_table(file) for file in sorted(TINY.glob("train*.parquet"))])
    step = len(table) // images
    chosen = table.take(list(range(0, step * images, step)))
    path = folder / "train.parquet"
    pq.write_table(chosen, path, row_group_size=1000)
    return path


def sentences() -> list[str]:
    """The first hundred classes' sentences."""
    import json

    classes = json.loads((TINY / "classes.json").read_text())
    words = [names[0] for names in (one["names"] for one in classes)]
    return [f"a photo of a {word}." for word in words[:SENTENCES]]


def search(images: int) -> dict[str, Any]:
    """Recall and milliseconds a query of each way to search."""
    import numpy as np
    import torch

    from imaginate.models.guides import build_guide
    from imaginate.pool import build as building
    from imaginate.pool import open_pool
    from imaginate.pool.scan import rank
    from imaginate.pool.table import PoolTable
    from imaginate.records import LabelSpace

    torch.set_num_threads(1)
    guide = build_guide("nano", LabelSpace.of(("photo", "drawing")))
    with tempfile.TemporaryDirectory() as folder:
        source = subset(images, Path(folder))
        building.build_pool(f"{folder}/pool", [str(source)], guide, building.Building())
        with torch.inference_mode():
            asked = guide.embed_text(sentences())
        table, pool = PoolTable.open(f"{folder}/pool"), open_pool(f"{folder}/pool")
        blocks = list(table.vectors(65_536))
        ids = [key for keys, _ in blocks for key in keys]
        vectors = np.concatenate([part for _, part in blocks])
        queries = asked.numpy()
        truth = [{ids[i] for i in row[:TOP]} for row in np.argsort(-(queries @ vectors.T), axis=1)]
        ways: dict[str, Callable[[], list[list[str]]]] = {
            "pool": lambda: [[str(row["id"]) for row in rows] for rows in pool.search(asked, TOP)],
            "pool_ids_alone": lambda: [one.ids for one in rank(queries, TOP, blocks)],
            "lancedb_scan": lambda: [_scan(table, query) for query in queries],
        }
        graph, breadth = _hnsw(vectors, queries, ids, truth)
        ways["faiss_hnsw"] = graph
        return {"images": len(ids), "dim": vectors.shape[1], "sentences": len(queries), "nearest": TOP,
                "hnsw_breadth": breadth, **_timed(ways, truth)}  # fmt: skip


def _scan(table: Any, query: NDArray[np.float32]) -> list[str]:
    """One exact query of a LanceDB table, from disk."""
    ask = table.rows.search(query, vector_column_name="vector").distance_type("cosine").bypass_vector_index()
    found: list[str] = ask.limit(TOP).select(["id", "_distance"]).to_arrow()["id"].to_pylist()
    return found


def _hnsw(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], ids: list[str], truth: list[set[str]]
) -> tuple[Callable[[], list[list[str]]], str]:
    """faiss's graph at the cheapest breadth that reaches the target, or the greatest that was tried."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)

    def ask() -> list[list[str]]:
        return [[ids[i] for i in row if i >= 0] for row in index.search(queries, TOP)[1]]

    for breadth in BREADTHS:
        index.hnsw.efSearch = breadth
        if _recall(ask(), truth) >= TARGET:
            return ask, str(breadth)
    return ask, f"{BREADTHS[-1]}, target not reached"


def _recall(found: list[list[str]], truth: list[set[str]]) -> float:
    return sum(len(set(a) & b) / TOP for a, b in zip(found, truth, strict=True)) / len(truth)


def _timed(ways: dict[str, Callable[[], list[list[str]]]], truth: list[set[str]]) -> dict[str, Any]:
    """Each way once to warm up, then in turns; the median of the rounds."""
    first = {name: _recall(way(), truth) for name, way in ways.items()}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter(), time.process_time()
            way()
            spent[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    out: dict[str, Any] = {}
    for name, rounds in spent.items():
        wall, cpu = (1e3 * statistics.median(column) / len(truth) for column in zip(*rounds, strict=True))
        out[name] = {"recall": round(first[name], 4), "ms_a_query": round(wall, 3), "cpu_ms_a_query": round(cpu, 3)}
    out["ids_alone_against_hnsw"] = round(
        out["pool_ids_alone"]["cpu_ms_a_query"] / out["faiss_hnsw"]["cpu_ms_a_query"], 2
    )
    ours = out["pool"]["cpu_ms_a_query"]
    out["pool_against_hnsw"] = round(ours / out["faiss_hnsw"]["cpu_ms_a_query"], 2)
    out["pool_against_scan"] = round(ours / out["lancedb_scan"]["cpu_ms_a_query"], 3)
    return out


def commands(images: int, other: Path, rounds: int) -> dict[str, Any]:
    """Wall and processor seconds of three commands with both trees."""
    trees = {"this": Path(__file__).resolve().parent.parent / "src", "other": (other / "src").resolve()}
    with tempfile.TemporaryDirectory() as folder:
        source = subset(images, Path(folder))
        spent: dict[str, dict[str, list[float]]] = {}
        for number in range(rounds):
            for name, tree in trees.items():
                pool, run = f"{folder}/pool-{name}-{number}", f"{folder}/run-{name}-{number}"
                for what, words in {
                    "guide": ["guide", str(source), "--guide", "nano"],
                    "pool build": ["pool", "build", pool, str(source), "--guide", "nano", "--quiet"],
                    "retrieval": ["expand", str(source), run, "--method", "retrieval", "--pool", pool,
                                  "--guide", "nano", "--per-class", "5", "--shots", "2", "--quiet"],
                    "retrieval, same work": ["expand", str(source), f"{run}-same", "--method", "retrieval",
                                             "--pool", pool, "--guide", "nano", "--per-class", "5", "--shots", "2",
                                             "--quiet"],
                }.items():  # fmt: skip
                    if what.endswith("same work") and name == "this":
                        words += ["--judge", "none"]
                    spent.setdefault(what, {}).setdefault(name, []).append(_run(words, tree))
    return {
        "images": images,
        **{
            what: {
                **{f"{name}_s": [round(s, 1) for s in times] for name, times in both.items()},
                "ratio": round(statistics.median(both["this"]) / statistics.median(both["other"]), 2),
            }
            for what, both in spent.items()
        },
    }


def _run(words: list[str], tree: Path) -> float:
    """Processor seconds of a command, its children included."""
    before = os.times()
    env = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "imaginate", *words], check=True, env=env, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    from _machine import write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("search", "commands"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--against", type=Path, help="checkout of another version, for `commands`")
    parser.add_argument("--rounds", type=int, default=2, help="of `commands`")
    args = parser.parse_args()
    if args.what == "search":
        results = search(args.images)
    else:
        if args.against is None:
            parser.error("commands needs --against FOLDER, a checkout of the other version")
        results = commands(args.images, args.against, args.rounds)
    print(results)
    write(f"sentences-{args.what}-{args.images}", results)


if __name__ == "__main__":
    main()
