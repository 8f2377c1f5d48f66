"""Turn a run into WebDataset tars, HF-style parquet, a csv manifest, or what FiftyOne and others import."""

from __future__ import annotations

import argparse
import contextlib

from imaginate.cli._common import facts_shown, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the target and the form."""
    parser.add_argument("run", metavar="RUN", help="a finished run folder")
    parser.add_argument("out", metavar="OUT", help="a new folder or fsspec url")
    parser.add_argument(
        "--format",
        default="webdataset",
        metavar="{webdataset,parquet,csv,fiftyone,label-studio,ultralytics,coco}",
        help="default webdataset",
    )
    parser.add_argument("--per-file", type=int, default=1000, help="images per tar or parquet file (default 1000)")
    parser.add_argument(
        "--push", metavar="ORG/NAME", help="upload it as a dataset of the Hugging Face hub, with its card"
    )
    group = parser.add_argument_group("signed manifests (C2PA, extra c2pa)")
    group.add_argument("--c2pa-cert", metavar="PEM", help="certificate chain: new images say who vouches for them")
    group.add_argument("--c2pa-key", metavar="PEM", help="its private key")
    group.add_argument("--c2pa-timestamp", metavar="URL", help="authority that dates the signatures")
    parser.add_argument("--private", action="store_true", help="with --push: a new dataset is private")


def run(args: argparse.Namespace) -> int:
    """Export, then say how much."""
    from imaginate.write.export import export
    from imaginate.write.push import check_name, push

    if args.push:
        check_name(args.push)
    with contextlib.nullcontext() if args.json else facts_shown():
        count = export(
            args.run, args.out, args.format, per_file=args.per_file,
            c2pa_cert=args.c2pa_cert, c2pa_key=args.c2pa_key, c2pa_timestamp=args.c2pa_timestamp,
        )  # fmt: skip
    lines = [f"{args.out}: {count} images as {args.format}"]
    pushed = push(args.run, args.out, args.push, private=args.private) if args.push else None
    found = {"path": args.out, "images": count, "format": args.format, "pushed": pushed}
    say(args, found, *lines, *([pushed] if pushed else []))
    return 0
