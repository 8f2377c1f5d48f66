"""The command line: parse, call, print. One file per command; files that start with `_` are shared pieces.

What is asked for most, the overview, is a text that is written here without a parser: it is there in the time in which
Python starts. Nothing else is imported at the top of this file for that reason.
"""

from __future__ import annotations

from imaginate.cli._overview import GROUPS, commands, overview, summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["GROUPS", "commands", "main", "parser_of", "summary"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (2 for bad input, 130 when interrupted)."""
    import sys

    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in ([], ["-h"], ["--help"], ["--help-all"]):
        try:
            print(overview(), end="", flush=True)
        except BrokenPipeError:  # `imaginate --help | head -3`
            sys.stderr.close()
        raise SystemExit(0)
    if words[:1] == ["--version"]:
        from imaginate.version import __version__

        print(f"imaginate {__version__}")
        raise SystemExit(0)
    from imaginate.cli._running import run

    return run(words, is_program=argv is None)


def parser_of(name: str, rest: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The full parser of one command; `rest` lets a command add the flags of the method that is asked for."""
    from imaginate.cli._running import parser_of

    return parser_of(name, rest)
