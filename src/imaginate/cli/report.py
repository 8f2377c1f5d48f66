"""Report on a study or a run: one self-contained HTML file, and tables for papers.

imaginate report study/                                  # study/report.html
imaginate report flowers-gif/ --hourly-price 1.2         # a single run, with its cost in money
imaginate report study/ --format html,latex,csv --out paper/
imaginate report flowers-study/ cars-study/ --format latex --out paper/   # datasets side by side
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from imaginate.cli._flags import check_price
from imaginate.errors import ConfigError, ImaginateError


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
    parser.add_argument("--copies", type=int, default=5, metavar="N", help="copies beside each seed (default 5)")


def run(args: argparse.Namespace) -> int:
    """Write the report and print the files' names."""
    from imaginate.reports import Options, write_report, write_tables

    _check(args)
    formats = tuple(dict.fromkeys(f for f in args.format.split(",") if f))
    options = Options(
        hourly_price=args.hourly_price,
        currency=args.currency,
        seeds=args.seeds,
        copies=args.copies,
        read_image=image_reader(),
    )
    if len(args.paths) == 1:
        files = write_report(args.paths[0], out=args.out, formats=formats, options=options)
    else:
        if not args.out:
            raise ConfigError(f"a report over {len(args.paths)} folders needs --out FOLDER")
        files = write_tables(args.paths, out=args.out, formats=formats, options=options)
    for file in files:
        print(file)
    return 0


def _check(args: argparse.Namespace) -> None:
    check_price(args.hourly_price)
    for name in ("seeds", "copies"):
        if getattr(args, name) < 1:
            raise ConfigError(f"{name} must be >= 1, got {getattr(args, name)}")
    if not args.format.strip(","):
        raise ConfigError("format must name at least one of html, csv, markdown, latex, json")


def image_reader() -> Callable[[str | None, str | None, str], bytes | None]:
    """A function (dataset path, split, sample id) -> encoded bytes, for pictures that a run does not hold itself.

    None where the dataset or the image is gone: a report then says so instead of failing.
    """
    opened: dict[tuple[str, str | None], dict[str, Any]] = {}

    def read(path: str | None, split: str | None, name: str) -> bytes | None:
        if not path:
            return None
        if (path, split) not in opened:
            opened[path, split] = _samples(path, split)
        sample = opened[path, split].get(name)
        try:
            return None if sample is None else sample.source.read()
        except ImaginateError:
            return None

    return read


def _samples(path: str, split: str | None) -> dict[str, Any]:
    from imaginate.data import open_dataset

    try:
        return {sample.id: sample for sample in open_dataset(path, split=split).samples}
    except ImaginateError:
        return {}
