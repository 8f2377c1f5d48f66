"""Say what is in a run (counts, rejects by reason, what guidance changed), or how a dataset is read."""

from __future__ import annotations

import argparse
import os

from imaginate.cli._common import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run or dataset, and what to draw."""
    parser.add_argument("run", metavar="RUN|DATA", help="a run folder, or a dataset: which layout it is read in")
    parser.add_argument("--sheet", metavar="PNG", help="draw a contact sheet, rejected images included, to this file")
    parser.add_argument("--image", metavar="NAME", help="all that is known of one image (a part of its file name)")
    parser.add_argument(
        "--licences",
        action="store_true",
        help="licences of seeds, priors, adaptations and pool images, what they ask for",
    )
    parser.add_argument("--rows", type=int, default=12, help="rows of the contact sheet")
    parser.add_argument(
        "--layout",
        default="auto",
        choices=["auto", "folders", "classes", "splits"],
        help="of a dataset: what folders mean; folders switches the recognition of published layouts off",
    )


def run(args: argparse.Namespace) -> int:
    """Print the summary, or all that is known of one image; draw the sheet."""
    from imaginate.data.urls import hub_hint
    from imaginate.errors import DataError
    from imaginate.files import explained, replace_file
    from imaginate.workflows.inspect import inspect
    from imaginate.workflows.inspect_data import inspect_data, is_data

    if is_data(args.run) and not args.sheet and not args.image and not args.licences:
        data = inspect_data(args.run, layout=args.layout)
        say(args, data.to_dict() if args.json else None, str(data))
        return 0
    if not os.path.exists(args.run) and (hint := hub_hint(args.run)):
        raise DataError(f"there is nothing at {args.run}{hint}")
    found = inspect(args.run)
    sheet = found.sheet(rows=args.rows) if args.sheet else b""
    if args.licences:
        licences = found.licences()
        say(args, licences.rows() if args.json else None, str(licences))
    elif args.image:
        said, rows = found.in_words(args.image), found.images(args.image)
        each = [{"in_words": words, **row} for words, row in zip(said, rows, strict=True)]
        say(args, each, "\n\n".join(map(_all_of, each)))
    else:
        say(args, found.to_dict() if args.json else None, str(found))
    if args.sheet:
        with explained(args.sheet):
            replace_file(args.sheet, lambda partial: partial.write_bytes(sheet))
        if not args.json:
            print(f"contact sheet: {args.sheet}")
    return 0


def _all_of(row: dict[str, object]) -> str:
    """An image in words, then every column that has a value."""
    columns = [f"{k:<20} {v}" for k, v in row.items() if v is not None and k != "in_words"]
    return "\n".join([str(row["in_words"]), *columns])
