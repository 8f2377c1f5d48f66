"""What retrieval costs: index build, search at recall@100 >= 0.95 against faiss, memory while building, embedding rate.

    python benchmarks/retrieval.py vectors --rows 100000
    python benchmarks/retrieval.py vectors --rows 1000000 --engines lancedb,flat,ivf
    python benchmarks/retrieval.py guide
    python benchmarks/retrieval.py guide --images '../shared/data/tiny-imagenet-64/train*' --every 8192 --name ...

Vectors: unit norm, 512 numbers, a mixture of clusters (noise of 0.7 a number around normal centres, one per 100 rows),
made in pieces from seeds, so that no engine needs them twice in memory. Queries are 100 further draws; the truth is an
exact scan. Every engine runs in its own process, one after the other, and is timed query by query: faiss on one thread
with everything in memory, LanceDB on its own threads, from disk through the page cache.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

DIM, TOP, QUERIES, PIECE, TARGET = 512, 100, 100, 20_000, 0.95
ENGINES = ("lancedb", "flat", "ivf", "hnsw")


def pieces(rows: int) -> Iterator[np.ndarray]:
    """The vectors, (up to 20,000, 512) float32 at a time."""
    centres = np.random.default_rng(0).normal(size=(max(1, rows // 100), DIM)).astype(np.float32)
    for number, start in enumerate(range(0, rows, PIECE)):
        yield drawn(centres, min(PIECE, rows - start), 1 + number)


def queries(rows: int) -> np.ndarray:
    """(100, 512): further draws of the same mixture."""
    centres = np.random.default_rng(0).normal(size=(max(1, rows // 100), DIM)).astype(np.float32)
    return drawn(centres, QUERIES, 10**6)


def drawn(centres: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` unit vectors around random centres."""
    rng = np.random.default_rng(seed)
    x = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, DIM)).astype(np.float32)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def truth(rows: int) -> np.ndarray:
    """(100, 100) ids of the nearest rows, by an exact scan."""
    asked = queries(rows)
    best = np.full((QUERIES, 0), 0.0, np.float32), np.zeros((QUERIES, 0), np.int64)
    for number, part in enumerate(pieces(rows)):
        near = asked @ part.T
        ids = np.broadcast_to(np.arange(len(part)) + number * PIECE, near.shape)
        scores, places = np.hstack([best[0], near]), np.hstack([best[1], ids])
        top = np.argpartition(-scores, TOP - 1, axis=1)[:, :TOP]
        best = np.take_along_axis(scores, top, 1), np.take_along_axis(places, top, 1)
    return best[1]


class Clock:
    """Wall seconds and processor seconds (all threads) of a stretch of work; the latter do not feel a busy machine."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        """`<name>_s` and `<name>_cpu_s`. Making the vectors is part of it, for every engine alike."""
        wall, cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
        return {f"{name}_s": round(wall, 1), f"{name}_cpu_s": round(cpu, 1)}


def timed(search: Callable[[np.ndarray], list[int]], asked: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Recall and latency, query by query, after ten that warm up."""
    for query in asked[:10]:
        search(query)
    found, times = [], []
    spent = time.process_time()
    for query in asked:
        start = time.perf_counter()
        found.append(search(query))
        times.append(time.perf_counter() - start)
    spent = time.process_time() - spent
    recall = float(np.mean([len(set(f) & set(r)) / TOP for f, r in zip(found, right.tolist(), strict=True)]))
    ms = np.array(times) * 1e3
    return {
        "recall": round(recall, 4),
        "p50_ms": round(float(np.median(ms)), 2),
        "p95_ms": round(float(np.percentile(ms, 95)), 2),
        "queries_per_s": round(1e3 / float(ms.mean()), 1),
        "cpu_ms": round(1e3 * spent / len(asked), 2),
    }


def sweep(settings: list[int], make: Callable[[int], Any], asked: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The first (cheapest) setting that reaches the target recall, and all that were tried."""
    tried = []
    for value in settings:
        tried.append({"setting": value, **timed(make(value), asked, right)})
        if tried[-1]["recall"] >= TARGET:
            return {**tried[-1], "tried": tried}
    return {**tried[-1], "tried": tried, "note": "target recall not reached"}


def lancedb(rows: int, asked: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """The pool's own table: append, index, search, from disk."""
    from imaginate.pool.rows import Header
    from imaginate.pool.table import PoolTable

    folder = tempfile.mkdtemp(prefix="pool-")
    peak = Peak()
    try:
        table = PoolTable.create(f"{folder}/pool", Header(guide="synthetic", dim=DIM, probe=""))
        clock = Clock()
        for number, part in enumerate(pieces(rows)):
            table.append_rows([{"id": f"{number * PIECE + i:032x}", "vector": v} for i, v in enumerate(part)])
        append = {**clock.read("append"), "append_peak_mb": peak.lap()}
        disk = size_of(folder)
        bare = {**timed(lance_search(table, 0, exact=True), asked[:20], right[:20]), "peak_mb": peak.lap()}
        clock = Clock()
        table.index_vectors("auto" if rows >= 50_000 else "ivf-flat")
        index = {**clock.read("index"), "index_peak_mb": peak.lap()}
        lists = table.built_index().lists
        steps = [n for n in (4, 8, 16, 32, 64, 128, 256, 512) if n <= lists]
        found = sweep(steps, lambda n: lance_search(table, n), asked, right)
        return {
            "kind": table.indexed(), **append, **index, "table_bytes_per_row": round(disk / rows),
            "index_bytes_per_row": round((size_of(folder) - disk) / rows), "exact_scan": bare, **found,
        }  # fmt: skip
    finally:
        peak.stop()
        shutil.rmtree(folder, ignore_errors=True)


def lance_search(table: Any, probes: int, *, exact: bool = False) -> Callable[[np.ndarray], list[int]]:
    """One query as `LancePool` asks it."""

    def search(query: np.ndarray) -> list[int]:
        ask = table.rows.search(query, vector_column_name="vector").distance_type("cosine")
        ask = ask.bypass_vector_index() if exact else ask.nprobes(probes)
        return [int(i, 16) for i in ask.limit(TOP).select(["id", "_distance"]).to_arrow()["id"].to_pylist()]

    return search


def flat(rows: int, asked: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """faiss IndexFlatIP: exact, in memory."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIM)
    clock = Clock()
    for part in pieces(rows):
        index.add(part)
    return {"kind": "IndexFlatIP", **clock.read("index"), **timed(faiss_search(index), asked, right)}


def ivf(rows: int, asked: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """faiss IndexIVFFlat with as many lists as the pool makes, trained on as many rows."""
    import faiss

    lists = max(1, round(rows**0.5))
    quantizer = faiss.IndexFlatIP(DIM)
    index = faiss.IndexIVFFlat(quantizer, DIM, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 15
    made = pieces(rows)
    first = [next(made) for _ in range(min(-(-64 * lists // PIECE), -(-rows // PIECE)))]
    clock = Clock()
    index.train(np.concatenate(first)[: 64 * lists])
    for part in first:
        index.add(part)
    del first
    for part in made:
        index.add(part)
    built = clock.read("index")
    faiss.omp_set_num_threads(1)

    def make(probes: int) -> Callable[[np.ndarray], list[int]]:
        index.nprobe = probes
        return faiss_search(index)

    steps = [n for n in (4, 8, 16, 32, 64, 128, 256, 512) if n <= lists]
    return {"kind": f"IndexIVFFlat, {lists} lists", **built, **sweep(steps, make, asked, right)}


def hnsw(rows: int, asked: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """faiss IndexHNSWFlat, 32 links, efConstruction 40 (its default)."""
    import faiss

    index = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    clock = Clock()
    for part in pieces(rows):
        index.add(part)
    built = clock.read("index")
    faiss.omp_set_num_threads(1)

    def make(breadth: int) -> Callable[[np.ndarray], list[int]]:
        index.hnsw.efSearch = breadth
        return faiss_search(index)

    found = sweep([100, 200, 400, 800, 1600], make, asked, right)
    return {"kind": "IndexHNSWFlat, M 32", **built, **found}


def faiss_search(index: Any) -> Callable[[np.ndarray], list[int]]:
    """One query of a faiss index."""
    return lambda query: [int(i) for i in index.search(query[None], TOP)[1][0]]


def guide(spec: str, source: str, batch: int, every: int, kept: str | None) -> dict[str, Any]:
    """Building a pool against the guide's bare forward pass, in turns, and memory along the way, each `every` images.
    `kept`: where the pool stays; none: it is removed."""
    import torch

    from imaginate.data import decode
    from imaginate.models.guides import build_guide
    from imaginate.pool import build as building
    from imaginate.pool.listing import units_of
    from imaginate.records import LabelSpace

    model = build_guide(spec, LabelSpace.of(("photo", "drawing")))
    sample = [item.source.read() for _, item in zip(range(512), next(units_of(source)).items(), strict=False)]
    images = torch.stack([torch.from_numpy(decode(data)).permute(2, 0, 1) for data in sample])
    folder = tempfile.mkdtemp(prefix="pool-")
    pool = kept or f"{folder}/pool"
    track: list[tuple[int, float, float, float]] = []
    done, spent = [0], [0.0, 0.0]
    bare: list[tuple[float, float]] = []

    def advance(count: int) -> None:
        before, done[0] = done[0], done[0] + count
        if before // every != done[0] // every:
            now = time.perf_counter(), time.process_time()
            track.append((done[0], now[0] - spent[0], now[1] - spent[1], rss()))
            bare.append(bare_rate(model, images, batch))
            spent[:] = [spent[0] + time.perf_counter() - now[0], spent[1] + time.process_time() - now[1]]

    try:
        building.build_pool(pool, [source], model, building.Building(batch=batch), advance=advance)
        rates = np.array([[(b[0] - a[0]) / (b[k] - a[k]) for k in (1, 2)] for a, b in pairwise(track)])
        free = np.array(bare[: len(rates)])
        return {
            "guide": spec, "images": done[0], "batch": batch, "seconds": round(track[-1][1] - track[0][1], 1),
            "bare_images_per_s": round(float(np.median(free[:, 0])), 1),
            "build_images_per_s": round(float(np.median(rates[:, 0])), 1),
            "ratio": round(float(np.median(rates[:, 0] / free[:, 0])), 3),
            "bare_images_per_cpu_s": round(float(np.median(free[:, 1])), 1),
            "build_images_per_cpu_s": round(float(np.median(rates[:, 1])), 1),
            "cpu_ratio": round(float(np.median(rates[:, 1] / free[:, 1])), 3),
            "memory_mb": [[n, round(mb)] for n, _, _, mb in track],
            "disk_bytes_per_image": round(size_of(pool) / done[0]),
        }  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bare_rate(model: Any, images: Any, batch: int) -> tuple[float, float]:
    """Images a second, and a processor second, of the guide alone, on images that are decoded already."""
    import torch

    start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for part in images.split(batch):
            model.embed(part.float() / 255)
    return len(images) / (time.perf_counter() - start[0]), len(images) / (time.process_time() - start[1])


def rss() -> float:
    """Resident memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def size_of(folder: str) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


class Peak:
    """The highest memory of this process since it was last asked, in MB, looked at ten times a second."""

    def __init__(self) -> None:
        self._highest = rss()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._highest = max(self._highest, rss())

    def lap(self) -> int:
        """The peak so far; begins anew."""
        highest, self._highest = max(self._highest, rss()), rss()
        return round(highest)

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()


def watched(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of some work, with the highest memory meanwhile."""
    base, peak = rss(), Peak()
    found = work()
    peak.stop()
    return {**found, "peak_mb": peak.lap(), "base_mb": round(base)}


def alone(args: argparse.Namespace, engine: str) -> dict[str, Any]:
    """One engine in its own process."""
    what = ["vectors", "--rows", str(args.rows), "--engines", engine, "--alone", args.truth]
    command = [sys.executable, __file__, *what]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("vectors", "guide"))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--guide", default="nano")
    parser.add_argument("--images", default="../shared/data/flowers102-64/*a*.parquet")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--every", type=int, default=512, help="images between two looks at rate and memory")
    parser.add_argument("--pool", help="keep the pool of `guide` here")
    parser.add_argument("--name", help="of the file in benchmarks/results")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        right, asked = np.load(args.alone), queries(args.rows)
        print(json.dumps(watched(lambda: globals()[args.engines](args.rows, asked, right))))
        return
    from _machine import write

    results: dict[str, Any] = {}
    if args.what == "guide":
        results["guide"] = watched(lambda: guide(args.guide, args.images, args.batch, args.every, args.pool))
        write(args.name or "retrieval-guide", results)
    else:
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file, truth(args.rows))
            file.flush()
            args.truth = file.name
            results |= {"rows": args.rows, "dim": DIM, "top": TOP, "target_recall": TARGET}
            for engine in args.engines.split(","):
                results[engine] = alone(args, engine)
                print(engine, json.dumps({k: v for k, v in results[engine].items() if k != "tried"}), flush=True)
                write(args.name or f"retrieval-{args.rows:.0e}".replace("+0", ""), results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
