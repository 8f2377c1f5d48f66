"""Write a trained classifier for other tools: an ONNX graph, or a folder that timm and transformers load.

imaginate export-model flowers-model/ flowers-onnx/ --format onnx
imaginate export-model flowers-model/ flowers-timm/ --format timm
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The classifier, the target and the form."""
    parser.add_argument("model", metavar="MODEL", help="a folder that `imaginate train` wrote")
    parser.add_argument("out", metavar="OUT", help="a new folder")
    parser.add_argument("--format", default="onnx", metavar="{onnx,timm}", help="default onnx")


def run(args: argparse.Namespace) -> int:
    """Write, read back, compare."""
    from imaginate.training.portable import export_model

    place = export_model(args.model, args.out, args.format).path
    found = {"path": place, "format": args.format}
    words = (
        f"{place}: the classifier as {args.format}, compared with the original; {place}/README.md says how to use it"
    )
    say(args, found, words)
    return 0
