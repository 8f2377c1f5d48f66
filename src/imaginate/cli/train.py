"""Train one classifier on a dataset or run and keep it (to compare sets of images, use `imaginate compare`)."""

from __future__ import annotations

import argparse
import os

from imaginate.cli._flags import add_log, add_settings, take
from imaginate.runs import Facts
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
        print(f"{args.out}: {'finished before, nothing to train: ' if before else ''}{_summary(found)}")
        for note in found.get("notes", ()):
            print(f"note: {note}")
    return 0


def _summary(found: Facts) -> str:
    """What a classifier was trained on and what it reached, in one line."""
    parts = [f"{found['images']} images", f"{found['updates']} updates"]
    if found["validation"] is not None:
        parts.append(
            " ".join([f"validation {100 * found['validation']:.1f} %", found.get("validation_on", "")]).strip()
        )
    held, leak = found["held_out"], found["leak"]
    if held:
        mean = f", mean per class {100 * held['mean_per_class']:.1f} %" if held.get("classes") != 1 else ""
        parts.append(" ".join([f"held-out top-1 {100 * held['top1']:.1f} %{mean}", held.get("on", "")]).strip())
    if leak and leak["removed"]:
        parts.append(f"without {leak['removed']} held-out images that are among the training images")
    elif leak and leak["same"] + leak["near"]:
        parts.append("though held-out images are among the training images (--allow-leak)")
    return ", ".join(parts)
