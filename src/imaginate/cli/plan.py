"""Say what a run would make: counts per class, disk space, and time from a measured warm-up. Writes nothing."""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.cli._recipe import add_dynamic, add_recipe_flags, need_data, recipe_values

__all__ = ["add_arguments", "add_dynamic", "run"]

FIRST = (
    "--method", "--recipe", "--config", "--copies", "--per-class", "--split", "--shots", "--guide", "--prior",
    "--adaptation", "--pool", "--filter", "--select", "--held-out", "--device",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset, and the recipe flags of `expand`."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="the dataset (or in the recipe)")
    add_recipe_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    values = recipe_values(args, args.data)
    need_data(values, "imaginate plan DATA --method NAME")
    from imaginate.engine.forecast import plan

    found = plan(recipe=values)
    say(args, found.to_dict() if args.json else None, str(found))
    return 0
