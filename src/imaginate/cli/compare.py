"""Does it help? Train the same classifier on every arm under one protocol, and measure it on held-out images."""

from __future__ import annotations

import argparse
import os
import sys

from imaginate.cli._common import say
from imaginate.cli._flags import add_log, add_settings, take
from imaginate.evaluation.comparison import table
from imaginate.evaluation.protocol import Protocol
from imaginate.tracking import tracking

__all__ = ["add_arguments", "run", "table"]

ARMS = """arms (--arm, repeated):
  original[@F]          the original training images; @F keeps a share of each class, such as original@0.5
  duplicate[:K]         the originals repeated (default: to the largest run's size): no new information
  online-aug            the originals under strong on-line augmentation, new at every update
  run:FOLDER[@R]        the originals and a finished run's images; @R keeps R of them for each original image
  synthetic:FOLDER[@R]  a run's images alone
  folder:FOLDER[@R]     the originals and images that another tool made, in any layout that is read; seeds unknown
  real:N                the originals and up to N more real images a class: the upper bound
  clip-zero-shot, clip-probe, clip-finetune[:FOLDER], clip-distill
                        what --clip itself is worth; clip-finetune:FOLDER fine-tunes it on the expanded set
NAME=ARM gives an arm another name. An arm that the study already has is not trained again."""

FIRST = (
    "--arm", "--out", "--config", "--split", "--held-out", "--held-out-split", "--folds", "--shots", "--learners",
    "--arch", "--seeds", "--real", "--detect", "--quick", "--plan", "--yes", "--device", "--workers", "--quiet",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags: the arms, the folders, where to compute, and every setting of the protocol."""
    parser.epilog = ARMS
    parser.add_argument("data", help="dataset whose training images every arm starts from")
    parser.add_argument("--arm", action="append", default=[], metavar="ARM", help="an arm (see below); repeat it")
    parser.add_argument("--out", required=True, help="study folder; the same command goes on where it was stopped")
    add_settings(parser.add_argument_group("protocol"), Protocol, skip=("data",))
    group = parser.add_argument_group("hardware")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (several GPUs: accelerate launch)")
    group.add_argument("--workers", type=int, default=1, help="classifiers trained at a time (default 1)")
    group.add_argument("--plan", action="store_true", help="only say how long the study would take here, and stop")
    group.add_argument("--yes", action="store_true", help="begin although it takes more than an hour on a CPU")
    add_log(group)
    group.add_argument("--keep-weights", action="store_true", help="keep each classifier as weights.safetensors")


def run(args: argparse.Namespace) -> int:
    """Compare, then print one line an arm."""
    from imaginate.evaluation.curves import log_differences
    from imaginate.evaluation.study import compare

    settings = {"data": args.data, **take(args, Protocol)}
    with tracking(None if args.plan else args.log, args.out, os.path.basename(args.out.rstrip("/")), settings):
        found = compare(
            settings.pop("data"), args.arm, settings.pop("held_out", None), args.out, device=args.device,
            workers=args.workers, keep_weights=args.keep_weights, plan=args.plan, yes=args.yes,
            progress=sys.stderr.isatty() or "pytest" not in sys.modules, **settings,
        )  # fmt: skip
        if found and not args.plan:
            log_differences(found)
    if args.plan:
        say(args, found, found["text"])
    elif found:
        say(args, found, str(found), f"\n{args.out}/results.json  (imaginate report {args.out})")
    return 0
