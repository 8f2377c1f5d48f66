"""`python -m imaginate.nano.evaluation clip|mae|sd|unclip --data FOLDER`: numbers, sample sheet and model card."""

import argparse
from pathlib import Path

import torch

from imaginate import nano
from imaginate.nano.evaluation import card, diffusion, towers
from imaginate.nano.training import common


def main(argv: list[str] | None = None) -> None:
    """Measure one bundled model, write RESULTS/nano-NAME.json and the card in its folder."""
    parser = argparse.ArgumentParser(prog="python -m imaginate.nano.evaluation", description=__doc__)
    parser.add_argument("model", choices=nano.NAMES)
    parser.add_argument("--data", type=Path, required=True, help="folder of Tiny-ImageNet's parquet files")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--judge", type=Path, help="folder of a trained judge, for sd and unclip")
    parser.add_argument("--count", type=int, help="images to measure on (default: 10,000; 400 for sd and unclip)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    folder, home = nano.path(args.model), nano.weights() / args.model  # the first may be links to the second
    sheet = home / "samples.png"
    if args.model in ("sd", "unclip"):
        if args.judge is None:
            parser.error(
                f"{args.model} is judged by a classifier: give --judge, made by python -m imaginate.nano.training judge"
            )
        numbers = getattr(diffusion, args.model)(args.data, folder, args.count or 400, args.judge, sheet)
    else:
        numbers = getattr(towers, args.model)(args.data, folder, args.count or 10_000, sheet)
    args.results.mkdir(parents=True, exist_ok=True)
    common.write_json(args.results / f"nano-{args.model}.json", numbers | {"threads": args.threads})
    card.write(args.model, home, numbers)
    print(card.table(numbers))


if __name__ == "__main__":
    main()
