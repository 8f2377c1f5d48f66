"""What more real images are worth to the probe: Flowers-102 with 1, 5 and 20 real images a class.

    python benchmarks/probe_shots.py DATA [--draws 3]

DATA is Flowers-102 with its official splits. Images are drawn from the test split (it alone has 20 of every class);
the held-out images are the training and the validation split, 20 a class. Each draw of `--subset-seed` is a study of
its own: the spread over them is that of the choice of images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from _machine import write

import imaginate

SHOTS = {"original": 1, "real-4": 5, "real-19": 20}


def main() -> None:
    """Run the studies, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--arch", default="probe:efficientnet-lite0")
    args = parser.parse_args()
    accuracy: dict[int, list[float]] = {shots: [] for shots in SHOTS.values()}
    seconds: dict[int, list[float]] = {shots: [] for shots in SHOTS.values()}
    with tempfile.TemporaryDirectory() as folder:
        for draw in range(args.draws):
            found = imaginate.compare(
                args.data, ["original", "real:4", "real:19"], args.data, Path(folder) / str(draw), split="test",
                shots=1, subset_seed=draw, validation=0.0, seeds=1, arch=args.arch, device="cpu", yes=True,
                drop_leak=True,
            )  # fmt: skip
            for arm in found["arms"]:
                unit = arm["units"][0]
                accuracy[SHOTS[arm["name"]]].append(unit["top1"])
                seconds[SHOTS[arm["name"]]].append(unit["seconds"])
    rows = [
        {
            "shots": shots, "top1": round(float(np.mean(values)), 4), "sd": round(float(np.std(values, ddof=1)), 4),
            "seconds_of_a_fit": round(float(np.min(seconds[shots])), 2),
        }
        for shots, values in accuracy.items()
    ]  # fmt: skip
    write("probe-shots-flowers102", {"held_out": found["data"]["held_out"], "draws": args.draws, "rows": rows})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
