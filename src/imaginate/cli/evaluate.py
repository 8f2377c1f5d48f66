"""Measure a run's images against held-out ones: distances, diversity, consistency, leaks, cost.

    imaginate evaluate flowers-gif/ --against flowers/ --split test
    imaginate evaluate flowers-gif/ --against flowers/ --split test --features clip:openai/clip-vit-base-patch32
    imaginate evaluate flowers-gif/ --against flowers/ --split test --features inception:weights.pth --out fid.json

Writes RUN/evaluation.json, which `imaginate report` shows. What the images are worth for training: `imaginate compare`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from imaginate.cli._flags import add_settings, check_price, take
from imaginate.errors import ConfigError, RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the held-out data, the features."""
    from imaginate.evaluation.metrics.assess import Assessment

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
    parser.add_argument("--out", metavar="FILE", help="where to write (default: evaluation.json in the run)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_settings(parser.add_argument_group("measuring"), Assessment)


def run(args: argparse.Namespace) -> int:
    """Check, measure, write, print a table."""
    import json

    from imaginate.devices import pick_device
    from imaginate.evaluation.metrics.assess import Assessment
    from imaginate.settings import build

    for name in ("limit", "batch"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ConfigError(f"{name} must be >= 1, got {getattr(args, name)}")
    check_price(args.hourly_price)
    settings, out = build(Assessment, take(args, Assessment)), _place(args)
    args.device = pick_device(args.device)
    text = json.dumps(_measure(args, settings), indent=2, ensure_ascii=False, allow_nan=False)
    from imaginate.files import replace_file

    replace_file(out, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))
    _print(json.loads(text), out)
    return 0


def _place(args: argparse.Namespace) -> Path:
    """The file to write, refused where it cannot be one."""
    if not args.out:
        return Path(args.run) / "evaluation.json"
    out = Path(args.out)
    if out.is_dir():
        raise ConfigError(f"out must be a file, got the folder {out}")
    above = next(place for place in out.parents if place.exists())
    if not above.is_dir():
        raise ConfigError(f"out must lie in a folder, got {out}: {above} is a file")
    return out


def _measure(args: argparse.Namespace, settings: Any) -> dict[str, Any]:
    from imaginate.data import open_dataset
    from imaginate.evaluation.metrics.assess import Sets, assess, spent
    from imaginate.evaluation.metrics.features import build_extractor, extract
    from imaginate.progress import bar

    facts = _facts(args.run)
    made, held = open_dataset(args.run), open_dataset(args.against, split=args.split)
    originals = [s for s in made.samples if s.meta.get("method") is None]
    new = [s for s in made.samples if s.meta.get("method") is not None]
    if not new:
        raise RunError(f"{args.run} has no new image to measure")
    extractor = build_extractor(args.features, made.labels, device=args.device)
    parts = [spread(part, args.limit) for part in (originals, new, held.samples)]
    with bar("measuring", sum(map(len, parts)), show=not args.quiet) as shown:
        found = [extract(p, extractor, device=args.device, batch=args.batch, seen=shown.advance) for p in parts]
    known = {name: i for i, name in enumerate(made.labels.names)}
    found[2].labels = [known.get(held.labels[label].name, -1) for label in found[2].labels]
    result = assess(Sets(originals=found[0], new=found[1], held_out=found[2]), extractor, len(made.labels), settings)
    result["against"] = {"path": args.against, "split": args.split}
    if args.limit:
        result["warnings"].append(f"at most {args.limit} images of each side were used (--limit)")
    return result | {"cost": spent(facts, args.hourly_price), "run": args.run}


def spread(samples: Any, limit: int | None) -> list[Any]:
    """At most `limit` samples, evenly spread over the list."""
    if limit is None or len(samples) <= limit:
        return list(samples)
    return [samples[i * len(samples) // limit] for i in range(limit)]


def _facts(path: str) -> dict[str, Any]:
    import json

    file = Path(path) / "run.json"
    if not (Path(path) / "metadata.parquet").is_file() or not file.is_file():
        raise RunError(f"{path} is not a finished run folder (it needs run.json and metadata.parquet)")
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return facts


def _print(result: dict[str, Any], out: Path) -> None:
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
