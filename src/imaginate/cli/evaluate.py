"""Measure a run's images against held-out ones: distances, diversity, consistency, leaks, cost.

    imaginate evaluate flowers-gif/ --against flowers/ --split test
    imaginate evaluate flowers-gif/ --against flowers/ --split test --features clip:openai/clip-vit-base-patch32
    imaginate evaluate flowers-gif/ --against flowers/ --split test --features inception:weights.pth --out fid.json

Writes RUN/metrics.json, which `imaginate report` shows. What the images are worth for training: `imaginate compare`.
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.cli._flags import add_settings, take
from imaginate.runs import METRICS, Values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the held-out data, the features, and the settings of every metric."""
    from imaginate.evaluation.measure import metric_classes
    from imaginate.settings import settings_of

    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--against", required=True, metavar="DATA", help="the dataset that holds the held-out images")
    parser.add_argument("--split", default="test", help="its split of held-out images (default test)")
    parser.add_argument(
        "--features",
        default="efficientnet-lite0",
        metavar="NAME",
        help="feature extractor: efficientnet-lite0 (default), nano, clip:ID, timm:NAME, torchvision:NAME, "
        "inception[:FILE], or a transformers folder",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use N evenly spread images of each side, at most")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="images embedded at a time (default 32)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:1, mps (default cpu)")
    parser.add_argument("--hourly-price", type=float, metavar="PRICE", help="price of the machine, an hour")
    parser.add_argument("--out", metavar="FILE", help="where to write (default: metrics.json in the run)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    group, added = parser.add_argument_group("measuring"), set[str]()
    for cls in metric_classes():
        add_settings(group, cls, skip=tuple(added))
        added |= {s.name for s in settings_of(cls)}


def run(args: argparse.Namespace) -> int:
    """Measure, then print a table."""
    from imaginate.evaluation.measure import evaluate, metric_classes

    settings = {name: value for cls in metric_classes() for name, value in take(args, cls).items()}
    result = evaluate(
        args.run, args.against, split=args.split, features=args.features, limit=args.limit, batch=args.batch,
        device=args.device, hourly_price=args.hourly_price, out=args.out, progress=not args.quiet, **settings,
    )  # fmt: skip
    if args.json:
        say(args, result)
    else:
        _print(result, args.out or f"{args.run.rstrip('/')}/{METRICS}")
    return 0


def _print(result: Values, out: str) -> None:
    from rich.console import Console
    from rich.table import Table

    images = result["images"]
    title = f"{result['run']}: {images['new']} new images, {result['features']['name']} features"
    table = Table("metric", title=title, title_justify="left")
    for name in ("new", "originals"):
        table.add_column(name, justify="right")
    table.add_column("better")
    table.add_column("note", overflow="fold")
    for m in result["metrics"]:
        values = ["-" if m[k] is None else f"{m[k]:.4g}" for k in ("value", "originals")]
        table.add_row(m["title"], *values, m["better"], m["note"])
    console = Console()
    console.print(table)
    leaks, twins = result["leaks"], result["duplicates"]
    print(f"leaks: {leaks['images']} new images look like one of {images['held_out']} held-out images")
    print(f"duplicates: {twins['redundant']} repeat another new image, {twins['copies']} look like an original")
    spent = result["cost"]
    if spent:
        price = "" if spent["money_per_image"] is None else f", {spent['money_per_image']:.2g} in money"
        print(f"cost: {spent['seconds_per_image']:.3g} s for each new image{price}")
    for warning in result["warnings"]:
        print(f"note: {warning}")
    print(out)
