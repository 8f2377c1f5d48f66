"""How the cost of every command grows with the dataset: processor seconds and peak memory at 10^3, 10^4, ... images.

    python benchmarks/growth.py [--sizes 1000 10000] [--tree before=../old/src]
    python benchmarks/growth.py --sizes 50000 --there DATA RUN      # on a run of that size that is there already

The images are random, of 24 pixels; the method is the cheapest one (`duplicate`, one copy), so that what is measured is
what each command does of its own. Every command is a process. A run is left as it was: each refiltering ends with all
images kept. Results are written after each command; what is there already is not measured again, so that the same
command goes on after an interruption. `--tree NAME=SRC` measures another version on the same runs, in turn with this
one. Processor time hardly feels a busy machine; the wall's clock does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "growth.json"
RUN = ("--method", "duplicate", "--copies", "1", "--quiet")


def dataset(folder: Path, images: int) -> Path:
    """An image folder of ten classes."""
    import numpy as np
    from PIL import Image

    if folder.exists():
        return folder
    partial, draw = folder.with_suffix(".partial"), np.random.default_rng(0)
    shutil.rmtree(partial, ignore_errors=True)
    for label in range(10):
        (partial / f"class{label}").mkdir(parents=True)
    for number in range(images):
        pixels = draw.integers(0, 256, 3) + draw.integers(-20, 20, (24, 24, 3))
        place = partial / f"class{number % 10}" / f"{number:07d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, compress_level=1)
    return partial.rename(folder)


def commands(data: Path, run: Path, out: Path) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order. `run` is there after the first one."""
    yield "expand", ["expand", str(data), str(run), *RUN]
    yield "expand again", ["expand", str(data), str(run), *RUN]
    yield "plan", ["plan", str(data), *RUN[:-1]]
    yield "inspect", ["inspect", str(run)]
    for form in ("webdataset", "parquet", "csv"):
        yield f"export {form}", ["export", str(run), str(out / form), "--format", form]
    yield "refilter quality", ["refilter", str(run), "--filter", "quality"]
    yield "refilter, no filter", ["refilter", str(run)]


def measure(source: Path, command: list[str]) -> dict[str, float]:
    """One command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    start = time.perf_counter()
    # fork and exec in a small process: the peak of a child begins with what its parent holds
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *command], env=environment, stdout=subprocess.PIPE, text=True
    )
    printed, _ = child.communicate()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return {**json.loads(printed.splitlines()[-1]), "seconds": time.perf_counter() - start}


_CHILD = """
import json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "imaginate", *sys.argv[1:]], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    """Parse, measure, write after each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--tree", action="append", default=[], help="NAME=SRC: another version to measure")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build/growth", help="for datasets and runs")
    parser.add_argument("--there", nargs=2, metavar=("DATA", "RUN"), help="measure on this run, and make none")
    parser.add_argument("--only", nargs="+", help="these commands alone")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from _machine import write

    trees = {**dict(tree.split("=", 1) for tree in args.tree), "now": str(HERE.parent / "src")}
    args.folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    if RESULTS.exists():
        rows = json.loads(RESULTS.read_text(encoding="utf-8"))["results"]["commands"]
    for size in args.sizes:
        data = Path(args.there[0]) if args.there else dataset(args.folder / f"data-{size}", size)
        for name, source in trees.items():
            run = Path(args.there[1]) if args.there else args.folder / f"run-{size}-{name}"
            out = args.folder / f"out-{size}-{name}"
            for title, command in commands(data, run, out):
                if (args.there and title == "expand") or title not in (args.only or [title]):
                    continue
                known: dict[str, Any] = rows.setdefault(f"{name}: {title}", {})
                if str(size) in known:
                    continue
                shutil.rmtree(out, ignore_errors=True)
                if title == "expand":
                    shutil.rmtree(run, ignore_errors=True)
                known[str(size)] = measure(Path(source), command)
                print(f"{size:>8} {name}: {title:<20} {known[str(size)]}", flush=True)
                write("growth", {"commands": rows})


if __name__ == "__main__":
    main()
