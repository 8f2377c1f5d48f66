"""Say what a run would make: counts per class, disk space, and time from a measured warm-up. Writes nothing."""

from __future__ import annotations

import argparse

from imaginate.cli._recipe import add_dynamic, add_recipe_flags, need_data, recipe_values

__all__ = ["add_arguments", "add_dynamic", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset, and the recipe flags of `expand`."""
    parser.add_argument("data", nargs="?", metavar="DATA", help="the dataset (or in the recipe)")
    add_recipe_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    values = recipe_values(args, args.data)
    need_data(values, "imaginate plan DATA --method NAME")
    from imaginate.engine.forecast import forecast
    from imaginate.engine.recipe import recipe_from

    print(describe(forecast(recipe_from(values)), values["method"]["name"]))
    return 0


def describe(made: object, method: str) -> str:
    """The forecast as text: classes, totals, disk, time."""
    from imaginate.engine.forecast import Forecast

    assert isinstance(made, Forecast)
    width = max([len(name) for name in made.plan.counts] + [5])
    lines = [f"{'class':<{width}}  {'seeds':>7}  {'new':>8}"]
    lines += [f"{name:<{width}}  {c['seeds']:>7}  {c['new']:>8}" for name, c in made.plan.counts.items()]
    lines.append(f"{'total':<{width}}  {len(made.plan.samples):>7}  {made.plan.wanted:>8}")
    lines.append("")
    lines.append(f"{made.plan.wanted} new images by {method} in {len(made.plan.shards)} shards")
    lines.append(f"disk: about {_bytes(made.bytes)} ({_bytes(made.bytes_per_image)} an image)")
    rate = 1 / made.seconds_per_image if made.seconds_per_image else float("inf")
    lines.append(
        f"time: about {_time(made.seconds)} with one worker ({rate:,.1f} images/s, measured on {made.measured})"
    )
    if made.plan.skipped:
        lines.append(f"skipped: {len(made.plan.skipped)} seed images, first: {' - '.join(made.plan.skipped[0])}")
    return "\n".join(lines)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
