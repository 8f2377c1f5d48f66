"""Judge a finished run again with other filters, without generating: images move to rejected/ and back."""

from __future__ import annotations

import argparse

from imaginate.cli._common import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the filters, and what they may use."""
    parser.add_argument("run", metavar="RUN", help="a finished run folder")
    parser.add_argument(
        "--filter",
        metavar="NAME[:key=value,...]",
        action="append",
        default=[],
        help="judge of the new images, repeatable; without any, all that was refiltered before comes back",
    )
    parser.add_argument("--guide", metavar="GUIDE", help="guide of the filters that need one; default the run's own")
    parser.add_argument("--data", metavar="PATH", help="where the source dataset is now, if it was moved")
    parser.add_argument("--held-out", metavar="PATH", help="leak control: reject near-duplicates of these images")
    parser.add_argument("--held-out-split", metavar="SPLIT", help="its split")
    parser.add_argument("--reconsider", action="store_true", help="judge the images too that the run itself rejected")
    parser.add_argument(
        "--accept-removed",
        action="store_true",
        help="reject the images that somebody removed from the folder; without --filter, that is all that is done",
    )
    parser.add_argument(
        "--reviewed",
        action="store_true",
        help="bring what people decided in `imaginate review` into effect; without --filter, that is all that is done",
    )
    parser.add_argument("--decisions", metavar="FILE", help="the same, with decisions that were exported elsewhere")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")


def run(args: argparse.Namespace) -> int:
    """Judge, move, rewrite the tables, print the counts."""
    from imaginate.cli._recipe import parse_filter
    from imaginate.engine.refilter import refilter

    outcome = refilter(
        args.run,
        [parse_filter(text) for text in args.filter],
        guide=args.guide,
        data=args.data,
        held_out=args.held_out,
        held_out_split=args.held_out_split,
        reconsider=args.reconsider,
        accept_removed=args.accept_removed,
        reviewed=args.reviewed,
        decisions=args.decisions,
        dry_run=args.dry_run,
        device=args.device,
    )
    say(args, outcome, str(outcome))
    return 0
