"""Throughput of guide scoring against the bare forward pass of the guide, on the same images and batch size.

    python benchmarks/scoring.py [--guide nano] [--batch 64] [--copies 5] [--rounds 7]

Scoring is what the filters do with every candidate: preprocessing, embedding, class probabilities with its seed's class
as the anchor, entropy gain; consistency and entropy-gain share one pass. The rounds of all arms are interleaved, and
the median is taken, of the wall-clock time and of the process's own CPU time (on a busy machine only the latter means
anything; on a GPU only the former).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from _machine import write

from imaginate.filters.consistency import Consistency
from imaginate.filters.entropy_gain import EntropyGain
from imaginate.models.guides import build_guide
from imaginate.records import Candidate, LabelSpace, Request, Sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guide", default="nano")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    labels = LabelSpace.of([f"thing number {i}" for i in range(args.classes)])
    guide: Any = build_guide(args.guide, labels, device=args.device)
    results = measure(guide, labels, args)
    for name, row in results.items():
        print(name, row)
    print("written to", write("scoring", {"settings": vars(args), **results}).name)


def measure(guide: Any, labels: LabelSpace, args: argparse.Namespace) -> dict[str, Any]:
    """Median seconds per batch of each arm, and what share of the bare forward pass's throughput scoring reaches."""
    rng = torch.Generator().manual_seed(0)
    shape = (args.batch, 3, args.side, args.side)
    pixels = torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    context = SimpleNamespace(guide=guide, labels=labels, device=args.device, samples=None)
    seeds = [
        torch.randint(0, 256, shape[1:], generator=rng, dtype=torch.uint8) for _ in range(args.batch // args.copies + 1)
    ]
    requests = [_request(i // args.copies, seeds[i // args.copies]) for i in range(args.batch)]
    judges = (Consistency(), EntropyGain())

    def score(known: bool) -> None:
        own = requests if known else [_request(int(r.key), r.image.clone()) for r in requests[:: args.copies]]
        asked = own if known else [own[i // args.copies] for i in range(args.batch)]
        made = [
            Candidate(key=r.key, label=0, copy=i, seed=i, image=x.clone())
            for i, (r, x) in enumerate(zip(asked, pixels, strict=True))
        ]
        for judge in judges:
            judge.judge(made, asked, context)

    def bare() -> None:
        with torch.no_grad():
            guide.embed(pixels.to(args.device).float() / 255).cpu()

    arms: dict[str, Callable[[], None]] = {
        "forward": bare,
        "scoring": lambda: score(True),
        "with_seeds": lambda: score(False),
    }
    times = _interleaved(arms, args.rounds)
    out: dict[str, Any] = {name: {**t, "images_per_s": args.batch / t["wall_s"]} for name, t in times.items()}
    for clock in ("wall_s", "cpu_s"):
        share = times["forward"][clock] / times["scoring"][clock]
        out[f"share_of_forward_{clock[:-2]}"] = round(share, 4)
    return out


def _request(number: int, image: torch.Tensor) -> Request:
    sample = Sample(id=str(number), label=0, source=None)  # type: ignore[arg-type]
    return Request(key=str(number), label=0, copies=(0,), seeds=(0,), sample=sample, image=image)


def _interleaved(arms: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, float]]:
    wall: dict[str, list[float]] = {name: [] for name in arms}
    cpu: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, work in arms.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            if turn:  # the first turn warms up
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - used)
    return {n: {"wall_s": statistics.median(wall[n]), "cpu_s": statistics.median(cpu[n])} for n in arms}


if __name__ == "__main__":
    main()
