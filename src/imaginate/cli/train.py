"""Train one classifier on a dataset or run and keep it (to compare sets of images, use `imaginate compare`)."""

from __future__ import annotations

import argparse
import os

from imaginate.cli._common import say
from imaginate.cli._flags import add_log, add_settings, take
from imaginate.tracking import tracking

FIRST = (
    "--out", "--config", "--split", "--held-out", "--held-out-split", "--validation", "--arch", "--epochs", "--updates",
    "--seed", "--device", "--quiet",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the device and the training settings."""
    from imaginate.training.classifier import Training

    parser.add_argument("data", help="dataset or run to train on")
    parser.add_argument("--out", required=True, help="folder of the classifier; the same command goes on after a stop")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    add_log(parser)
    add_settings(parser, Training)


def run(args: argparse.Namespace) -> int:
    """Train, or find a finished classifier, then print what was reached."""
    from imaginate.training.classifier import Training, train
    from imaginate.training.folder import is_finished

    before = is_finished(args.out)
    with tracking(args.log, args.out, os.path.basename(args.out.rstrip("/")), take(args, Training)):
        found = train(args.data, args.out, device=args.device, **take(args, Training))
    if found:
        first = f"{args.out}: {'finished before, nothing to train: ' if before else ''}{found}"
        say(args, found, first, *(f"note: {note}" for note in found.get("notes", ())))
    return 0
