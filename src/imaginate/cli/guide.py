"""Measure a guide on a dataset before using it: accuracy, per class, and what it confuses."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from imaginate.cli._flags import add_settings, take
from imaginate.data.spec import DataSpec

if TYPE_CHECKING:
    from imaginate.models.guides.core.assess import Assessment
    from imaginate.records import LabelSpace


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
    parser.add_argument("--json", metavar="FILE", help="write everything, every class and pair, to this file")
    add_settings(parser.add_argument_group("data (what is read)"), DataSpec, prefix="data.", skip=("path",))


def run(args: argparse.Namespace) -> int:
    """Build the guide, run it over the images, print the tables."""
    from imaginate.cli._progress import bar
    from imaginate.data import open_dataset
    from imaginate.devices import pick_device
    from imaginate.engine.context import SeedImages
    from imaginate.models.guides import build_guide
    from imaginate.models.guides.core.assess import assess
    from imaginate.settings import build

    spec = build(DataSpec, {"path": args.data, **take(args, DataSpec, prefix="data.")}, where="data")
    dataset = open_dataset(spec)
    samples = SeedImages(dataset.samples)
    device = pick_device(args.device)
    guide = build_guide(args.guide, dataset.labels, samples=samples, device=device, prompts=args.prompts)
    with bar(f"{guide.name} on {dataset.name}", len(samples)) as shown:
        found = assess(guide, samples, batch=args.batch, seen=lambda n: shown.advance(n))
    show(found, dataset.labels, args.top, skipped=len(dataset.skipped))
    if args.json:
        _write(args.json, as_dict(found, dataset.labels))
    return 0


def show(found: Assessment, labels: LabelSpace, top: int, *, skipped: int = 0) -> None:
    """The assessment as a person reads it, on standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    low, high = found.interval
    console.print(f"[bold]{found.guide}[/bold]: {found.how}")
    console.print(
        f"accuracy {found.accuracy:.1%} ({found.right} of {found.images}; 95 % interval {low:.1%} to {high:.1%}), "
        f"chance {1 / len(labels):.1%}"
    )
    console.print(
        f"mean over classes {found.class_mean:.1%}, calibration error {found.calibration_error:.3f}, "
        f"mean entropy {found.mean_entropy:.3f} of at most {_log(len(labels)):.3f} nats"
    )
    if found.left_out:
        console.print(
            f"{found.left_out} images left out: the guide was fitted to them, or they are alone in their class"
        )
    if found.unreadable + skipped:
        console.print(f"{found.unreadable + skipped} images could not be read")
    for table in _tables(found, labels, top):
        console.print(table)


def _tables(found: Assessment, labels: LabelSpace, top: int) -> list[Any]:
    from rich.table import Table
    from rich.text import Text

    from imaginate.models.guides.core.assess import wilson, worst

    lowest = Table("class", "right", "of", "accuracy", "95 % interval", title=f"lowest of {len(labels)} classes")
    for label, right, n in worst(found, top):
        low, high = wilson(right, n)
        lowest.add_row(Text(labels[label].title), str(right), str(n), f"{right / n:.0%}", f"{low:.0%} to {high:.0%}")
    pairs = Table("class", "taken for", "images", "of its class", title="most confused pairs")
    for label, other, n, share in found.confused[:top]:
        pairs.add_row(Text(labels[label].title), Text(labels[other].title), str(n), f"{share:.0%}")
    return [lowest, pairs] if found.confused else [lowest]


def as_dict(found: Assessment, labels: LabelSpace) -> dict[str, Any]:
    """Everything, with class names, as JSON can hold it."""
    rows = zip(labels.names, found.class_right, found.class_images, strict=True)
    return {
        "guide": found.guide,
        "how": found.how,
        "images": found.images,
        "accuracy": found.accuracy,
        "interval": list(found.interval),
        "class_mean_accuracy": found.class_mean,
        "calibration_error": found.calibration_error,
        "mean_entropy": found.mean_entropy,
        "unreadable": found.unreadable,
        "left_out": found.left_out,
        "classes": [{"name": name, "right": right, "images": n} for name, right, n in rows],
        "confused": [
            {"class": labels[t].name, "taken_for": labels[p].name, "images": n, "share": share}
            for t, p, n, share in found.confused
        ],
    }


def _log(count: int) -> float:
    import math

    return math.log(count)


def _write(path: str, value: dict[str, Any]) -> None:

    from imaginate.errors import ConfigError
    from imaginate.files import json_bytes, replace_file

    try:
        replace_file(path, lambda partial: partial.write_bytes(json_bytes(value)))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
