"""Train one classifier on a dataset or run and keep it (to compare sets of images, use `imaginate compare`)."""

from __future__ import annotations

import argparse

from imaginate.cli._flags import add_settings, take


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the device and the training settings."""
    from imaginate.train.single import Training

    parser.add_argument("data", help="dataset or run to train on")
    parser.add_argument("--out", required=True, help="folder of the classifier; the same command goes on after a stop")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    add_settings(parser, Training)


def run(args: argparse.Namespace) -> int:
    """Train, then print what was reached."""
    from imaginate.train.single import Training, train

    found = train(args.data, args.out, device=args.device, **take(args, Training))
    if found:
        held = found["held_out"]
        told = (
            f", held-out top-1 {100 * held['top1']:.1f} %, mean per class {100 * held['mean_per_class']:.1f} %"
            if held
            else ""
        )
        inside = "" if found["validation"] is None else f", validation {100 * found['validation']:.1f} %"
        print(f"{args.out}: {found['images']} images, {found['updates']} updates{inside}{told}")
    return 0
