"""Measure a guide on a dataset before using it: accuracy, per class, and what it confuses."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from imaginate.cli._common import as_json
from imaginate.cli._flags import add_settings, take
from imaginate.data.spec import DataSpec
from imaginate.settings import build

if TYPE_CHECKING:
    from imaginate.workflows.guide import MeasuredGuide


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset, the guide, and what to print."""
    parser.add_argument("data", metavar="DATA", help="dataset or run; see docs/data.md")
    parser.add_argument(
        "--guide",
        required=True,
        metavar="GUIDE",
        help="nano, clip:ID-or-folder, prototypes:BACKBONE, probe:BACKBONE, finetuned:BACKBONE, random-init:BACKBONE; "
        "see docs/guides.md",
    )
    parser.add_argument("--prompts", metavar="P", help="single, clip-80, a sentence with {}, or a file of them")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--batch", type=int, default=64, help="images at a time (default 64)")
    parser.add_argument("--top", type=int, default=10, help="classes and pairs to print (default 10)")
    parser.add_argument("--json", metavar="FILE", help="every class and pair, to this file; - prints it alone")
    add_settings(parser.add_argument_group("data (what is read)"), DataSpec, prefix="data.", skip=("path",))


def run(args: argparse.Namespace) -> int:
    """Measure the guide, print the tables."""
    from imaginate.workflows.guide import guide

    data = build(DataSpec, {"path": args.data, **take(args, DataSpec, prefix="data.")}, where="data")
    found = guide(data, args.guide, prompts=args.prompts, batch=args.batch, device=args.device)
    if args.json == "-":
        print(as_json(found.to_dict()))
        return 0
    show(found, args.top)
    if args.json:
        _write(args.json, found.to_dict())
    return 0


def show(found: MeasuredGuide, top: int) -> None:
    """The measurement as a person reads it, on standard output."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    first, _, rest = str(found).partition(": ")
    console.print(Text.assemble((first, "bold"), f": {rest}"), soft_wrap=True)
    for table in _tables(found, top):
        console.print(table)


def _tables(guide: MeasuredGuide, top: int) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    from imaginate.models.guides.core.assess import wilson, worst

    found, labels = guide.assessment, guide.labels
    title = f"lowest of {len(labels)} classes"
    if guide.measured < len(labels):
        title = f"{guide.measured} of {len(labels)} classes measured, lowest first"
    lowest = Table("class", "right", "of", "accuracy", "95 % interval", title=title)
    for label, right, n in worst(found, top):
        low, high = wilson(right, n)
        lowest.add_row(Text(labels[label].title), str(right), str(n), f"{right / n:.0%}", f"{low:.0%} to {high:.0%}")
    pairs = Table("class", "taken for", "images", "of its class", title="most confused pairs")
    for label, other, n, share in found.confused[:top]:
        pairs.add_row(Text(labels[label].title), Text(labels[other].title), str(n), f"{share:.0%}")
    return [lowest, pairs] if found.confused else [lowest]


def _write(path: str, value: dict[str, Any]) -> None:
    from imaginate.errors import ConfigError
    from imaginate.files import json_bytes, replace_file

    try:
        replace_file(path, lambda partial: partial.write_bytes(json_bytes(value)))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
