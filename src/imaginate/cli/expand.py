"""Expand a dataset: seed images in, a run folder with more images out.

    imaginate expand flowers/ flowers-x5/ --method randaugment --copies 5
    imaginate expand flowers-x5/ --recipe run.yaml
    imaginate expand --help --method gridmask      # with the method's own flags

The same command on the same folder finishes a run that was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib

from imaginate.cli._common import facts_shown, say
from imaginate.cli._recipe import add_dynamic, add_recipe_flags, need_data, recipe_values
from imaginate.errors import ConfigError

__all__ = ["add_arguments", "add_dynamic", "run"]

FIRST = (
    "--method", "--recipe", "--config", "--copies", "--per-class", "--split", "--shots", "--guide", "--prior",
    "--adaptation", "--pool", "--filter", "--select", "--held-out", "--format", "--originals", "--seed", "--device",
    "--workers", "--quiet",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Paths, recipe, and where the work is done."""
    parser.add_argument(
        "paths", nargs="*", metavar="DATA OUT", help="the dataset (or in the recipe) and the run folder"
    )
    add_recipe_flags(parser)
    group = parser.add_argument_group("work (does not change the result)")
    group.add_argument("--workers", type=int, default=1, help="processes that make images (default 1)")
    group.add_argument(
        "--ray", metavar="ADDRESS", help="address of a Ray cluster that makes them (`auto` for the one of this machine)"
    )
    group.add_argument(
        "--restore", action="store_true", help="make the images again that were removed from a finished run"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Make or finish the run, then say what is in it."""
    data, out = _paths(args)
    values = recipe_values(args, data)
    need_data(values, "imaginate expand DATA OUT --recipe FILE, or data: {path: ...} in the recipe")
    from imaginate.engine.run import expand

    with contextlib.nullcontext() if args.quiet or args.json else facts_shown():
        result = expand(
            out=out, recipe=values, workers=args.workers, ray=args.ray, restore=args.restore, progress=not args.quiet
        )
    say(
        args, result, str(result), f"look at {result.path}/contact-sheet.png, or: imaginate inspect {result.path}"
    )  # fmt: skip
    return 0


def _paths(args: argparse.Namespace) -> tuple[str | None, str]:
    """The dataset, if it is given here, and the output folder."""
    paths = list(args.paths)
    if len(paths) == 1 and not args.recipe:
        raise ConfigError(f"OUT is missing: imaginate expand {paths[0]} OUT --method NAME")
    if counts := [path[3:] for path in paths if path.startswith("to:") and path[3:].isdecimal()]:
        raise ConfigError(
            f"to:{counts[0]} is no path: --balance-to {counts[0]} brings every class up to so many images"
        )
    if len(paths) not in (1, 2):
        raise ConfigError("give the dataset and the output folder: imaginate expand DATA OUT --method NAME")
    return (paths[0] if len(paths) == 2 else None), str(paths[-1])
