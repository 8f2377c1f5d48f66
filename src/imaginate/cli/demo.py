"""Expand ten classes of real pictures, without a download: the first two minutes with imaginate.

Crops of public-domain photographs and micrographs that scikit-image carries become OUT/textures (train and held-out
halves); then they are expanded by RandAugment and by guided imagination with the bundled nano models.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("randaugment", {"method": "randaugment", "copies": 5}),
    ("gif-mae", {"method": "gif-mae", "copies": 3, "guide": "nano", "prior": "nano", "shots": 2}),
    ("gif-sd", {"method": "gif-sd", "copies": 3, "guide": "nano", "prior": "nano", "shots": 2}),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to write, and how much."""
    parser.add_argument("out", nargs="?", default="demo", metavar="OUT", help="output folder (default demo)")
    parser.add_argument("--only", choices=[name for name, _ in RUNS], help="make this run alone")


def run(args: argparse.Namespace) -> int:
    """Make the dataset and the runs, and say where to look."""
    from imaginate import expand
    from imaginate.data.textures import make_textures
    from imaginate.files import explained

    data = os.path.join(args.out, "textures")
    if not os.path.exists(os.path.join(data, "classes.yaml")):
        with explained(args.out):
            make_textures(data)
    print(f"{data}: ten classes of real pictures, train and held-out crops from disjoint halves")
    sheets = []
    for name, settings in RUNS:
        if args.only in (None, name):
            made = expand(data, os.path.join(args.out, f"textures-{name}"), split="train", **settings)
            print(made)
            sheets.append(f"{made.path}/contact-sheet.png")
    print("look at:", *sheets, sep="\n  ")
    return 0
