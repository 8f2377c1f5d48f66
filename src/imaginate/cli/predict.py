"""Say the classes of images by a classifier that was trained: a table, a file, or copies in class folders.

imaginate predict model/ photographs/ --out said.csv
imaginate predict model/ photographs/ --out sorted/          # a copy of each under its class
imaginate predict model/ flowers/ --split test --top 3       # labelled images: how many are right
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from imaginate.cli._common import say

if TYPE_CHECKING:
    from imaginate.workflows.predict import Predictions

SHOWN = 20  # rows on a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The classifier, the images, and where the answers go."""
    parser.add_argument("model", metavar="MODEL", help="folder that `imaginate train` wrote")
    parser.add_argument("images", metavar="IMAGES", help="a folder of image files, an image file, a dataset or a run")
    parser.add_argument("--out", metavar="PLACE", help="a .csv, .jsonl or .parquet file, or a folder for sorted copies")
    parser.add_argument("--split", help="split of a labelled dataset")
    parser.add_argument("--top", type=int, default=1, help="how many of the likeliest classes (default 1)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")


def run(args: argparse.Namespace) -> int:
    """Predict, write, and say what was found."""
    from imaginate.workflows.predict import check_place, predict, write_predictions

    if args.out:
        check_place(args.out)
    found = predict(args.model, args.images, split=args.split, top=args.top, device=args.device)
    if args.json:
        if args.out:
            write_predictions(found, args.out)
        counts = {"path": args.out, "images": len(found), "right": found.accuracy, "skipped": found.skipped}
        say(args, {**counts, "rows": [] if args.out else list(found.rows())})
        return 0
    if args.out:
        write_predictions(found, args.out)
        print(f"{len(found):,} images: {args.out}")
    else:
        _show(found)
    if found.accuracy is not None:
        print(f"right: {found.accuracy:.1%} of {len(found):,}")
    for name, why in list(found.skipped.items())[:SHOWN]:
        print(f"skipped {name}: {why}")
    if len(found.skipped) > SHOWN:
        print(f"skipped {len(found.skipped) - SHOWN:,} more")
    return 0


def _show(found: Predictions) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("image", "classes")
    for row in range(min(len(found), SHOWN)):
        pairs = zip(found.classes[row], found.probabilities[row], strict=True)
        table.add_row(Text(found.images[row]), Text(", ".join(f"{name} {value:.0%}" for name, value in pairs)))
    Console().print(table)
    if len(found) > SHOWN:
        print(f"... and {len(found) - SHOWN:,} more: --out FILE.csv keeps them all")
