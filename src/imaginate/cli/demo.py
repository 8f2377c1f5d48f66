"""Expand ten classes of real pictures, without a download: the first two minutes with imaginate.

Crops of public-domain photographs and micrographs that scikit-image carries become OUT/textures (train and held-out
halves); then they are expanded by RandAugment and by guided imagination with the bundled nano models.
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say

RUNS = ("randaugment", "gif-mae", "gif-sd")


NEXT = (
    "imaginate plan DATA --method randaugment --copies 5          # what would come out, and how long it takes",
    "imaginate expand DATA OUT --method randaugment --copies 5",
    "imaginate compare DATA --out STUDY --arm original --arm run:OUT   # whether it helps, on held-out images",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write, and how much."""
    parser.add_argument("out", nargs="?", default="demo", metavar="OUT", help="output folder (default demo)")
    parser.add_argument("--only", choices=RUNS, help="make this run alone")


def run(args: argparse.Namespace) -> int:
    """Make the dataset and the runs, and say where to look."""
    from imaginate.workflows.demo import make_data, make_runs

    data = make_data(args.out, args.only)
    if args.json:
        say(args, {"data": data, "runs": list(make_runs(args.out, data, args.only))})
        return 0
    print(f"{data}: ten classes of real pictures, train and held-out crops from disjoint halves")
    sheets = []
    for result in make_runs(args.out, data, args.only):
        print(result)
        sheets.append(f"{result.path}/contact-sheet.png")
    print("look at:", *sheets, sep="\n  ")
    print("The models behind these are miniature ones, to try things with.")
    print("next, with images of yours (a folder for each class):")
    for line in NEXT:
        print(f"  {line}")
    return 0
