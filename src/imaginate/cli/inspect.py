"""Say what is in a run: counts, rejects by reason, where each image came from, what guidance changed."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and what to draw."""
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--sheet", metavar="PNG", help="draw a contact sheet, rejected images included, to this file")
    parser.add_argument("--image", metavar="NAME", help="all that is known of one image (a part of its file name)")
    parser.add_argument("--rows", type=int, default=12, help="rows of the contact sheet")


def run(args: argparse.Namespace) -> int:
    """Print the summary, or all that is known of one image; draw the sheet."""
    from imaginate.files import explained, replace_file
    from imaginate.workflows.inspect import inspect

    found = inspect(args.run)
    sheet = found.sheet(rows=args.rows) if args.sheet else b""
    if args.image:
        rows = found.images(args.image)
        print("\n\n".join("\n".join(f"{k:<20} {v}" for k, v in row.items() if v is not None) for row in rows))
    else:
        print(found)
    if args.sheet:
        with explained(args.sheet):
            replace_file(args.sheet, lambda partial: partial.write_bytes(sheet))
        print(f"contact sheet: {args.sheet}")
    return 0
