"""Print a script by which a shell completes commands and flags: bash, zsh, fish, tcsh or PowerShell.

imaginate completion bash > ~/.local/share/bash-completion/completions/imaginate
imaginate completion zsh > ~/.zfunc/_imaginate
imaginate completion fish > ~/.config/fish/completions/imaginate.fish
"""

from __future__ import annotations

import argparse

from imaginate.cli._common import say
from imaginate.errors import ConfigError
from imaginate.settings import nearest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", help="bash, zsh, fish, tcsh or powershell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise ConfigError("completion needs shtab: pip install 'imaginate[completion]'") from None
    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise ConfigError(f"no completion for {args.shell!r}{nearest(args.shell, shtab.SUPPORTED_SHELLS)}")
    script = shtab.complete(_whole(), args.shell)
    say(args, {"shell": args.shell, "script": script}, script)
    return 0


def _whole() -> argparse.ArgumentParser:
    """One parser with all commands and their flags; those of methods come with `--method` alone and are not among
    them."""
    from imaginate.cli import commands, parser_of, summary

    whole = argparse.ArgumentParser(prog="imaginate")
    under = whole.add_subparsers()
    for name in commands():
        under.add_parser(name, help=summary(name), parents=[parser_of(name)], add_help=False)
    return whole
