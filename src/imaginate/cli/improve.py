"""Improve a classifier where it fails: find its confusions, make and choose images for them, train again, measure.

    imaginate train flowers/ --out clf --arch probe:efficientnet-lite0
    imaginate improve flowers/ clf better/ --pool web-pool/ --held-out flowers/ --held-out-split test

The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.cli._flags import add_settings, take

FIRST = (
    "--methods",
    "--fit",
    "--runs",
    "--pool",
    "--prior",
    "--budget",
    "--rounds",
    "--held-out",
    "--held-out-split",
    "--quiet",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dataset, the classifier, the folder, and how it is spent."""
    from imaginate.workflows.improve_settings import Improvement

    parser.add_argument("data", metavar="DATA", help="the dataset that the classifier was trained on")
    parser.add_argument("model", metavar="MODEL-OR-STUDY", help="a folder of `imaginate train` or `imaginate compare`")
    parser.add_argument("out", metavar="OUT", help="the folder to write")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_settings(parser.add_argument_group("improvement"), Improvement, prefix="improve.")


def run(args: argparse.Namespace) -> int:
    """Improve, then say what changed."""
    from imaginate.workflows.improve import improve
    from imaginate.workflows.improve_settings import Improvement

    found = improve(
        args.data, args.model, args.out, device=args.device, progress=not args.quiet,
        **take(args, Improvement, prefix="improve."),
    )  # fmt: skip
    say(args, found, str(found), f"read {found.path}/README.md for what changed class by class")
    return 0
