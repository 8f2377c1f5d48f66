"""Accept, reject or relabel the images of a run by hand, on a page in the browser of this machine.

imaginate review flowers-gif/                       # prints the page's address; Ctrl-C ends it
imaginate refilter flowers-gif/ --reviewed          # brings the decisions into effect
imaginate review flowers-gif/ --export mine.jsonl   # for: imaginate refilter RUN --decisions mine.jsonl
"""

from __future__ import annotations

import argparse
import json

from imaginate.cli._common import say
from imaginate.cli._flags import add_map, map_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and who reviews it."""
    parser.add_argument("run", metavar="RUN", help="a run folder on this machine, finished or not")
    parser.add_argument("--by", metavar="NAME", help="the name under which decisions are written (default: yours here)")
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: a free one)")
    add_map(parser)
    parser.add_argument("--export", metavar="FILE", help="write the decisions into a file, and serve nothing")


def run(args: argparse.Namespace) -> int:
    """Serve, or export."""
    from imaginate.workflows.review import export_decisions, review

    if args.export:
        count = export_decisions(args.run, args.export)
        words = f"{args.export}: {count} decisions; apply them with: imaginate refilter RUN --decisions {args.export}"
        say(args, {"path": args.export, "decisions": count}, words)
        return 0

    def announce(address: str) -> None:
        if args.json:
            print(json.dumps({"address": address}), flush=True)
            return
        print(f"open {address}", flush=True)
        print(f"Ctrl-C ends it; then: imaginate refilter {args.run} --reviewed", flush=True)

    review(
        args.run,
        by=args.by,
        port=args.port,
        **map_of(args),
        announce=announce,
    )
    return 0
