"""Images a frozen backbone embeds in a second of processor time, with and without what makes it quick on a CPU.

    python benchmarks/backbone.py --backbone efficientnet-lite0@112 --batch 64

Each way runs in a process of its own, in turn, several rounds: `plain` is the network as it is loaded, `channels last`
the order of the pixels that convolutions like, `kept` that order and memory that is kept for the next batch
(`imaginate.devices.keep_memory`), which is what imaginate does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from _machine import environment

OUT = Path(__file__).parent / "results" / "backbone-cpu.json"
WAYS = ("plain", "channels last", "kept")
IMAGES = 256


def main() -> int:
    """Run every way in turn and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet-lite0@112")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="measure this one, here")
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.backbone, args.batch, args.way)))
        return 0
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            command = [sys.executable, __file__, "--backbone", args.backbone, "--batch", str(args.batch), "--way", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    rows = {
        way: {key: statistics.median(one[key] for one in some) for key in some[0]} for way, some in found.items()
    }  # fmt: skip
    facts = {
        "command": f"python benchmarks/backbone.py --backbone {args.backbone} --batch {args.batch} "
        f"--rounds {args.rounds}",
        **environment(), "images_per_processor_second": rows,
        "ratio": round(rows["kept"]["images"] / rows["plain"]["images"], 2),
    }  # fmt: skip
    OUT.write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))
    return 0


def measure(name: str, batch: int, way: str) -> dict[str, float]:
    """Images a second of processor time in one thread, and the share of it that the kernel took."""
    import torch

    from imaginate.devices import keep_memory
    from imaginate.models.guides.core.backbones import load_backbone

    torch.set_num_threads(1)
    if way == "kept":
        keep_memory()
    backbone = load_backbone(name, dtype=torch.float32)
    order = torch.contiguous_format if way == "plain" else torch.channels_last
    backbone.network.to(memory_format=order)
    images = torch.rand(IMAGES, 3, 64, 64)

    def embed() -> None:
        for some in images.split(batch):
            pixels = backbone.preprocess(some).contiguous(memory_format=order)
            backbone.forward(pixels)

    with torch.inference_mode():
        embed()
        before = resource.getrusage(resource.RUSAGE_SELF)
        embed()
        after = resource.getrusage(resource.RUSAGE_SELF)
    user, kernel = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {"images": round(IMAGES / (user + kernel), 1), "kernel_share": round(kernel / (user + kernel), 3)}


if __name__ == "__main__":
    raise SystemExit(main())
