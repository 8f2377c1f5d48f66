"""The command line: parse, call, print. One file per command; files that start with `_` are shared pieces.

What is asked for most, the overview, is a text that is written here without a parser: it is there in the time in which
Python starts. Nothing is imported at the top of this file for that reason.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DESCRIPTION = (
    "Turn a small labelled image-classification dataset into a larger, more informative one, "
    "and prove on held-out images what the new images are worth."
)


GROUPS = {  # every command once, the first ones first
    "begin here": ("demo", "plan", "expand", "inspect", "compare", "report"),
    "judge and choose": ("guide", "review", "refilter", "evaluate"),
    "use": ("train", "predict", "improve", "export-model", "export", "adopt"),
    "models and pools": ("fit", "pool"),
    "help": ("methods", "completion"),
}
_OVERVIEW = """\
usage: imaginate COMMAND ...

{description}

options:
  -h, --help  show this help message and exit
  --version   show program's version number and exit

{groups}

`imaginate COMMAND --help` shows the flags of one.
"""


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


def overview() -> str:
    """Every command in its group, with what it does."""
    lines = []
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<14}{summary(name)}" for name in names)]
    return _OVERVIEW.format(description=DESCRIPTION, groups="\n".join(lines[1:]))


def summary(name: str) -> str:
    """The first line of a command's docstring, read from its source: importing all commands would be slow."""
    with open(f"{__path__[0]}/{name.replace('-', '_')}.py", encoding="utf-8") as file:
        return file.readline().strip('" \n')


def commands() -> tuple[str, ...]:
    """The commands there are, by file name."""
    import pkgutil

    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name[0] != "_"))


def parser_of(name: str, rest: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The full parser of one command; `rest` lets a command add the flags of the method that is asked for."""
    from imaginate.cli._running import parser_of

    return parser_of(name, rest)
