"""What a study costs: a quick one of five arms of 1,000 images, and training against the bare network.

    python benchmarks/studies.py [--part quick|training] [--source imagenette-96.zip]

quick      five arms of 1,000 images and their controls by `compare --quick`, wall seconds: with no feature known
           (IMAGINATE_CACHE=off), and with the features of every image kept from an earlier study.
training   processor milliseconds of an update of `imaginate train` on decoded pixels (which image, augmentation,
           optimizer, history and all) against the same network, batch and optimizer in a bare loop on one batch that
           stays in memory; in turns, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from _machine import write

HERE = Path(__file__).resolve().parent
METHODS = ("cutout", "randaugment", "trivialaugment", "augmix")
SHOTS, COPIES, EVERY = 20, 4, 4  # of ten classes: 200 seeds, 800 new images, a quarter of the held-out ones
SIZE, BATCH = 64, 64


def imaginate(*words: str, **environment: str) -> float:
    """Wall seconds of one command."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "imaginate", *words, "--quiet"], check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    return time.perf_counter() - start


def unpacked(source: Path, root: Path) -> tuple[Path, Path]:
    """The training images, and every fourth of the others."""
    with zipfile.ZipFile(source) as archive:
        archive.extractall(root / "data")
    (data,) = (root / "data").iterdir()
    held = root / "held"
    for at, file in enumerate(sorted(p for p in (data / "val").rglob("*") if p.is_file())):
        if at % EVERY == 0:
            (held / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, held / file.parent.name)
    return data, held


def quick(source: Path, root: Path) -> dict[str, Any]:
    """Wall seconds of the same study, cold and with known features."""
    data, held = unpacked(source, root)
    chosen = [str(data), "--split", "train", "--shots", str(SHOTS)]
    for method in METHODS:
        imaginate("expand", chosen[0], str(root / method), *chosen[1:], "--method", method, "--copies", str(COPIES))
    arms = [word for method in METHODS for word in ("--arm", f"run:{root / method}")]

    def study(name: str, **environment: str) -> float:
        flags = ["--held-out", str(held), "--arm", "original", *arms, "--out", str(root / name), "--quick"]
        return imaginate("compare", *chosen, *flags, **environment)

    cold = study("cold", IMAGINATE_CACHE="off")
    study("first", IMAGINATE_CACHE=str(root / "features"))
    known = study("second", IMAGINATE_CACHE=str(root / "features"))
    results = json.loads((root / "cold" / "results.json").read_text())
    arms_of = {arm["name"]: arm["images"]["total"] for arm in results["arms"]}
    return {
        "arms": arms_of, "seeds": results["protocol"]["seeds"], "held_out": results["data"]["held_out"],
        "seconds_cold": cold, "seconds_with_known_features": known,
    }  # fmt: skip


def training(source: Path, root: Path, updates: int, rounds: int) -> dict[str, Any]:
    """Processor milliseconds of an update, ours and bare, by network."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data, _ = unpacked(source, root)
    found: dict[str, Any] = {"size": SIZE, "batch": BATCH, "updates": updates, "rounds": rounds}
    for arch in ("small", "finetune:efficientnet-lite0"):
        pairs = [
            (ours(data, root / f"{arch.replace(':', '-')}-{i}", arch, updates), bare(arch, updates))
            for i in range(rounds)
        ]
        found[arch] = {
            "ours_ms": statistics.median(a for a, _ in pairs),
            "bare_ms": statistics.median(b for _, b in pairs),
            "share_of_the_bare_rate": statistics.median(b / a for a, b in pairs),
        }
        print(arch, found[arch], flush=True)
    return found


def ours(data: Path, out: Path, arch: str, updates: int) -> float:
    """Processor milliseconds of an update of `train`, by the difference of a long and a short training."""
    from imaginate import train

    def seconds(count: int) -> float:
        start = time.process_time()
        train(
            data, f"{out}-{count}", split="train", arch=arch, image_size=SIZE, batch=BATCH, updates=count,
            validation=0.0, device="cpu", progress=False,
        )  # fmt: skip
        return time.process_time() - start

    few = max(2, updates // 10)
    seconds(few)  # the file cache and imports are warm from here on
    shutil.rmtree(f"{out}-{few}")
    short, long = seconds(few), seconds(updates)
    return 1000 * (long - short) / (updates - few)


def bare(arch: str, updates: int) -> float:
    """Processor milliseconds of an update of the network alone."""
    import torch
    import torch.nn.functional as F

    from imaginate.training.learners import learner_of

    learner = learner_of(arch)
    model = learner.build(10).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.rand(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 10

    def update() -> None:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()

    for _ in range(2):
        update()
    start = time.process_time()
    for _ in range(updates):
        update()
    return 1000 * (time.process_time() - start) / updates


def main() -> None:
    """Parse, measure, write a file a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=HERE.parent.parent / "shared/data/imagenette-96.zip")
    parser.add_argument("--part", choices=["all", "quick", "training"], default="all")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    for part, measure in (("quick", quick), ("training", lambda *a: training(*a, args.updates, args.rounds))):
        if args.part in ("all", part):
            with tempfile.TemporaryDirectory(prefix="imaginate-studies-") as folder:
                print(write(f"studies-{part}", measure(args.source, Path(folder))).read_text())


if __name__ == "__main__":
    main()
