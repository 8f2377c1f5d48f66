"""Report on a study or a run: one self-contained HTML file, and tables for papers.

imaginate report study/                                  # study/report.html
imaginate report flowers-gif/ --hourly-price 1.2         # a single run, with its cost in money
imaginate report study/ --format html,latex,csv --out paper/
imaginate report flowers-study/ cars-study/ --format latex --out paper/   # datasets side by side
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.cli._flags import add_map, map_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Paths, formats and prices."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a study folder or a run folder")
    parser.add_argument("--out", metavar="FOLDER", help="where to write (default: the folder itself)")
    parser.add_argument(
        "--format",
        default="html",
        metavar="LIST",
        help="any of html, csv, markdown, latex, json, with commas between (default html)",
    )
    parser.add_argument(
        "--hourly-price", type=float, metavar="PRICE", help="price of the machine, an hour: adds money to cost"
    )
    parser.add_argument("--currency", default="$", help="the currency of the price (default $)")
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="seed images on a contact sheet (default 8)")
    parser.add_argument("--copies", type=int, default=5, metavar="N", help="copies of each seed (default 5)")
    add_map(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report and print the files' names."""
    from imaginate.workflows.report import report

    files = report(
        args.paths, out=args.out, formats=tuple(dict.fromkeys(f for f in args.format.split(",") if f)),
        hourly_price=args.hourly_price, currency=args.currency, seeds=args.seeds, copies=args.copies,
        **map_of(args),
    )  # fmt: skip
    say(args, {"files": files}, *map(str, files))
    return 0
