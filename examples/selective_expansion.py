"""Selective expansion (GIF sec. 3.2) beside plain expansion, with the same method, seeds and number of copies.

    python examples/selective_expansion.py DATA OUT [--guide nano] [--shots 2] [--copies 5]

Makes OUT/plain, OUT/selective (the first copies that keep the seed's predicted class with higher entropy) and
OUT/agnostic (GIF B.1: the best candidates, wherever they come from), then prints what was kept, what was rejected and
why, what the guide thinks of the kept images, and how they are spread over the seeds (GIF Fig. 9).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import imaginate
from imaginate.data import load, open_dataset
from imaginate.engine.context import SeedImages
from imaginate.models.guides import build_guide
from imaginate.models.guides.core.score import score
from imaginate.records import Candidate, Request

ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "selective": {"policy": "informative"},
    "agnostic": {"policy": "informative", "scope": "dataset"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", default="randaugment")
    parser.add_argument("--guide", default="nano")
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--tries", type=int, default=4)
    args = parser.parse_args()
    dataset = open_dataset(args.data, shots=args.shots)
    guide = build_guide(args.guide, dataset.labels, samples=SeedImages(dataset.samples))
    for name, settings in ARMS.items():
        out = args.out / name
        shared = {"shots": args.shots, "copies": args.copies, "tries": args.tries, "seed": 0}
        guided = {**settings, "guide": args.guide} if settings else {}
        run = imaginate.expand(args.data, out, args.method, **shared, **guided)
        print(f"\n{name}: {run.kept} kept of {run.wanted} wanted")
        for reason, count in run.rejected.items():
            print(f"  {count:>6} {reason}")
        print("  " + judged(out, dataset, guide))
        print("  " + evenness(run, dataset))


def judged(out: Path, dataset: Any, guide: Any) -> str:
    """Consistency and entropy gain of the kept images, by the same guide for every arm."""
    seeds = {s.id: s for s in dataset.samples}
    made = list(open_dataset(str(out), origin="synthetic").samples)
    context: Any = argparse.Namespace(guide=guide, labels=dataset.labels, samples=None, device="cpu")
    same, gains = 0, []
    for start in range(0, len(made), 256):
        part = made[start : start + 256]
        images = {key: load(seeds[key]) for key in {str(s.meta["seed_image"]) for s in part}}
        candidates = [Candidate(key=s.id, label=s.label, copy=0, seed=0, image=load(s)) for s in part]
        requests = [_request(seeds[str(s.meta["seed_image"])], images[str(s.meta["seed_image"])]) for s in part]
        found = score(candidates, requests, context)
        same += int((found.predicted == found.anchors).sum())
        gains += found.gain.tolist()
    return f"same class as the seed: {same / len(made):.1%}, mean entropy gain: {sum(gains) / len(gains):+.4f} nats"


def _request(sample: Any, image: Any) -> Request:
    return Request(key=sample.id, label=sample.label, copies=(), seeds=(), sample=sample, image=image)


def evenness(run: imaginate.Run, dataset: Any) -> str:
    """How many copies each seed has."""
    made = Counter(row["seed_image"] for row in run.table().to_pylist() if row["kept"] and row["method"] is not None)
    counts = sorted((made[s.id] for s in dataset.samples), reverse=True)
    tail = ", ".join(f"{seeds} seeds with {n}" for n, seeds in sorted(Counter(counts).items()))
    share = sum(counts[: max(1, round(len(counts) / 10))]) / max(1, sum(counts))
    return f"{tail} (the most expanded tenth of the seeds has {share:.0%} of the copies)"


if __name__ == "__main__":
    main()
