"""What `imaginate improve` does with candidates of several kinds: twelve classes of Flowers-102 at 64 pixels.

    python benchmarks/improve.py --data ../shared/data [--work build/improve] [--arm augmented]

The classifier is a probe of the bundled guide on 10 images a class. Candidates are augmented, personalised (each round
fits the bundled prior to its weak classes and edits between the classes of its confusions), or 30 more real images of
each class, the most that any method could hope for. 20 other images a class are held out, and measured once. It writes
benchmarks/results/improve.json; the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from _machine import RESULTS, write

import imaginate

CLASSES, MORE, HELD = 12, 30, 20
ARMS: dict[str, dict[str, Any]] = {
    "augmented": {"methods": ("randaugment", "trivialaugment")},
    "between confusions": {
        "methods": ("diff-mix",), "prior": "nano", "fit": "textual-inversion", "fit_steps": 200, "offers": 2,
        "rounds": 1,
    },
    "real": {"budget": 240},
}  # fmt: skip


def folders(data: Path, work: Path) -> None:
    """`seeds` (the train split), `more` and `held` (of the test split), as image folders of the first classes that have
    enough images."""
    if (work / "held").exists():
        return
    train, test = (imaginate.open_dataset(data / "flowers102-64", split=split) for split in ("train", "test"))
    of_class: dict[int, list[Any]] = {}
    for sample in test.samples:
        of_class.setdefault(sample.label, []).append(sample)
    chosen = [label for label in sorted(of_class) if len(of_class[label]) >= MORE + HELD][:CLASSES]
    for label in chosen:
        own = [sample for sample in train.samples if sample.label == label]
        parts = {"seeds": own, "more": of_class[label][:MORE], "held.partial": of_class[label][MORE : MORE + HELD]}
        for name, samples in parts.items():
            place = work / name / train.labels.names[label]
            place.mkdir(parents=True, exist_ok=True)
            for number, sample in enumerate(samples):
                (place / f"{name[:4]}-{number:02d}.png").write_bytes(sample.source.read())
    (work / "held.partial").rename(work / "held")


def main() -> None:
    """Train, improve by each kind of candidates, write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--data", type=Path, default=root.parent / "shared/data", help="folder of the datasets")
    parser.add_argument("--work", type=Path, default=root / "build/improve", help="for images and classifiers")
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="default: all")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    folders(args.data, args.work)
    seeds, held = str(args.work / "seeds"), str(args.work / "held")
    imaginate.train(seeds, str(args.work / "classifier"), arch="probe:nano", validation=0, progress=False)
    if not (args.work / "more-run").exists():
        imaginate.adopt(args.work / "more", args.work / "more-run", data=seeds, progress=False)
    known = json.loads(place.read_text())["results"]["arms"] if (place := RESULTS / "improve.json").exists() else {}
    for name in args.arm or ARMS:
        given = {**ARMS[name], **({"runs": (str(args.work / "more-run"),)} if name == "real" else {})}
        start = time.process_time()
        found = imaginate.improve(
            seeds, args.work / "classifier", args.work / name.replace(" ", "-"), held_out=held, progress=False, **given
        )
        rounds = [{k: v for k, v in one.items() if k != "classes"} for one in found.rounds]
        known[name] = {
            "settings": {k: v for k, v in given.items() if k != "runs"},
            "why": found.why, "rounds": rounds, "held_out": found.held_out,
            "kept": found.chosen is not None, "processor_seconds": time.process_time() - start,
        }  # fmt: skip
        print(found, flush=True)
        write("improve", {"arms": known})


if __name__ == "__main__":
    main()
