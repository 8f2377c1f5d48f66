"""Time and memory of listing and decoding an image folder, of this version and of another one, round by round.

    python benchmarks/reading.py [--before OTHER/src] [--images 5000] [--rounds 5]

Makes the images in a temporary folder (JPEG, and a fifth as many PNG), and reads them in a new process for every round
of every version, in turn. The smallest of the rounds is taken, of the process's own CPU time (other work on the machine
only adds to it), and the highest peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _machine import write

READ = """
import json, resource, sys, time
from imaginate.data import load, open_dataset
import torch, numpy, PIL.Image
load_first = open_dataset(sys.argv[1]).image(0)  # imports, and the first file of each library
start = time.process_time()
data = open_dataset(sys.argv[1])
listed = time.process_time()
for sample in data.samples:
    load(sample)
decoded = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"list_s": listed - start, "decode_s": decoded - listed, "peak_mib": peak, "images": len(data)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="SRC", help="the `src` folder of another version")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    here = str(Path(__file__).resolve().parents[1] / "src")
    versions = {**({"before": args.before} if args.before else {}), "now": here}
    with tempfile.TemporaryDirectory() as root:
        sets = {"jpeg": args.images, "png": args.images // 5}
        for kind, count in sets.items():
            make_images(Path(root) / kind, count, kind)
        results = {kind: measure(f"{root}/{kind}", versions, args.rounds) for kind in sets}
    print(json.dumps(results, indent=2))
    write("reading", {"images": sets, "rounds": args.rounds, "cpu_seconds": results})


def make_images(folder: Path, count: int, kind: str) -> None:
    """Smooth coloured pictures of 160 x 120 pixels in 50 classes."""
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[0:120, 0:160]
    for number in range(count):
        place = folder / f"class {number % 50:02d}"
        place.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        waves = [np.sin(x * f[0] + y * f[1]) * 90 + 127 for f in rng.uniform(0.02, 0.3, (3, 2))]
        noisy = np.stack(waves, axis=2) + rng.normal(0, 12, (120, 160, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{number:05d}.{kind}")


def measure(path: str, versions: dict[str, str], rounds: int) -> dict[str, Any]:
    """The least time and the highest peak of each version."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
    for _ in range(rounds):
        for name, source in versions.items():
            environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
            out = subprocess.run([sys.executable, "-c", READ, path], env=environment, capture_output=True, check=True)
            found[name].append(json.loads(out.stdout))
    return {
        name: {
            "list_s": round(min(row["list_s"] for row in rows), 4),
            "decode_s": round(min(row["decode_s"] for row in rows), 3),
            "peak_mib": round(max(row["peak_mib"] for row in rows), 1),
        }
        for name, rows in found.items()
    }


if __name__ == "__main__":
    main()
