"""Make a run of images that another tool made: matched to the classes by name, seeds unknown.

    imaginate adopt generated/ flowers-generated/ --data flowers/ --split train
    imaginate adopt generated/ flowers-generated/ --data flowers/ --filter quality --filter near-duplicate

The same command finishes a run that was interrupted.
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.cli._flags import add_settings
from imaginate.cli._recipe import parse_filter
from imaginate.engine.recipe import SECTIONS

_GROUPS = {
    "data": "data (the dataset that the images are for)",
    "roles": "roles (networks that filters use)",
    "write": "writing",
}

FIRST = ("--data", "--config", "--split", "--folder-split", "--filter", "--held-out", "--format", "--quiet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two folders, the dataset, filters, and how it is written."""
    parser.add_argument("folder", metavar="FOLDER", help="the images: class folders, a table, any layout that is read")
    parser.add_argument("run", metavar="RUN", help="the run folder to write")
    parser.add_argument("--data", metavar="DATA", help="the dataset whose classes they belong to (default: their own)")
    parser.add_argument("--folder-split", metavar="SPLIT", help="split of FOLDER")
    parser.add_argument(
        "--filter", metavar="NAME[:key=value,...]", action="append", default=[],
        help="judge of the images, repeatable; `imaginate methods --filters` lists them",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    for key, title in _GROUPS.items():
        add_settings(parser.add_argument_group(title), SECTIONS[key], prefix=f"{key}.", skip=("path",))


def run(args: argparse.Namespace) -> int:
    """Adopt, then say what is in the run."""
    from imaginate.workflows.adopt import adopt

    given = {dest.split(".", 1)[1]: value for dest, value in vars(args).items() if "." in dest}
    if args.filter:
        given["filters"] = [parse_filter(text) for text in args.filter]
    found = adopt(
        args.folder, args.run, data=args.data, folder_split=args.folder_split, progress=not args.quiet, **given
    )
    left = sum(found.rejected.values())
    why = ", ".join(f"{count} {reason}" for reason, count in found.rejected.items())
    refused = f", {left} rejected ({why})" if left else ""
    say(
        args, found, f"{found.path}: {found.kept} adopted images, {found.originals} originals{refused}",
        f"look at {found.path}/contact-sheet.png, or: imaginate inspect {found.path}",
    )  # fmt: skip
    return 0
