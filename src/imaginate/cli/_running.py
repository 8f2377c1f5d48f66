"""From the words of a command line to a command that runs: its parser, its remarks, and its errors as one line."""

from __future__ import annotations

import argparse
import atexit
import difflib
import errno
import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from imaginate.cli._overview import commands
from imaginate.errors import ConfigError, ImaginateError

_READS_ROWS = (
    "adopt",
    "compare",
    "evaluate",
    "expand",
    "fit",
    "guide",
    "improve",
    "inspect",
    "plan",
    "refilter",
    "train",
)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota, a file larger than files may be


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest flag, where argparse prints the whole usage; and begins its help
    with the flags in `first`, where there are some."""

    first: tuple[str, ...] = ()

    def format_help(self) -> str:
        """The help of the first flags, and how to see the others; all of it where no flag is first."""
        from imaginate.cli._common import only

        if not self.first:
            return super().format_help()
        with only(self, ("-h", *self.first)) as left:
            return f"{super().format_help()}\n{left} more flags: {self.prog} --help-all\n"

    def format_all(self) -> str:
        """The help of all flags."""
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """ConfigError in place of usage and exit."""
        unknown = message.removeprefix("unrecognized arguments: ").split(" ")[0].split("=")[0]
        if message.startswith("unrecognized") and "--method" in self._option_string_actions:
            from imaginate.cli._recipe import owners

            if named := owners(unknown):
                raise ConfigError(f"{message}; {unknown} is a flag of {', '.join(named)}")
        close = difflib.get_close_matches(unknown, self._option_string_actions, n=1, cutoff=0.6)
        mean = f"; did you mean {close[0]!r}?" if close and close[0] != unknown else f" (see `{self.prog} --help`)"
        raise ConfigError(message + mean)


def run(args: list[str], *, is_program: bool) -> int:
    """Run one command; returns its exit code. `is_program`: as the program of this process."""
    if not is_program:
        return _run(args)
    _use_utf8(args)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # pyarrow's own keeps 20 MB of what it let go
    signal.signal(signal.SIGTERM, _stop)
    end = _End()
    end.code = _run(args)
    return end.code


def _run(args: list[str]) -> int:
    _write_any_text()
    try:
        with _noted() as notes:
            code = _dispatch(args, notes)
            _flush()  # what is printed may have been held back until now
            return code
    except ImaginateError as error:
        print(f"imaginate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        reason = str(stop) or "interrupted; the same command goes on where this one stopped"
        print(f"imaginate: {reason}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _give_up_output()
        where = f" {error.filename}" if error.filename else ""
        print(f"imaginate: cannot write{where}: {error.strerror}", file=sys.stderr)
        return 2


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _give_up_output() -> None:
    """Where standard output takes no more, what waits to be printed is lost: Python would try again at its end."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _End:
    """Ends a process that has loaded PyTorch or pyarrow as soon as its exit handlers have run. Python would take every
    module apart first: with PyTorch a second, and 130 MB for the pages of libraries that nothing else reads; with
    pyarrow, one of its threads that lets go of a Python object then aborts a process whose work is done.

    It is registered before the command begins, so its handler is the last one to run. `code`: what the command
    returned; None where it raised, and Python ends as ever.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._leave)

    def _leave(self) -> None:
        if self.code is None or not sys.modules.keys() & {"torch", "pyarrow"}:
            return
        try:
            _flush()
        except OSError:  # nobody reads any more: Python says what it says
            return
        os._exit(self.code)


def _stop(*_: object) -> NoReturn:
    """A command that a scheduler or a shutdown ends says the same as after Ctrl-C: that what is finished is kept."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _use_utf8(args: Sequence[str]) -> None:
    """Start again in Python's UTF-8 mode where file names could only hold ASCII (`LC_ALL=C` without its usual help)."""
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "imaginate", *args])


class _Notes(logging.Handler):
    """What the library remarks on, as `note: ...` on standard error, each remark once a command."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a remark that was not made before."""
        message = record.getMessage()
        if message not in self._said:
            self._said.add(message)
            print(f"note: {message}", file=sys.stderr)


@contextmanager
def _noted() -> Iterator[logging.Handler]:
    """The library's remarks are printed while a command runs."""
    log, notes = logging.getLogger("imaginate"), _Notes()
    log.addHandler(notes)
    try:
        yield notes
    finally:
        log.removeHandler(notes)


def _write_any_text() -> None:
    """A terminal that cannot show a character gets a question mark in its place, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _dispatch(args: list[str], notes: logging.Handler) -> int:
    name, rest = args[0], args[1:]
    if name.startswith("-"):
        raise ConfigError(f"the command comes first, then its flags, got {name} (see `imaginate --help`)")
    if name not in commands():
        from imaginate.settings import nearest

        raise ConfigError(f"unknown command {name!r}{nearest(name, commands())}")
    from imaginate.cli._common import configured, heard

    module = importlib.import_module(f"imaginate.cli.{name.replace('-', '_')}")
    parser, words = configured(rest, lambda some: parser_of(name, some))
    if "--help-all" in words and isinstance(parser, _Parser):
        print(_named(parser, words).format_all())
        return 0
    parsed = _parsed(parser, words)
    with heard(parsed, notes):
        return int(module.run(parsed))


def _named(parser: _Parser, words: Sequence[str]) -> _Parser:
    """The parser of the sub-command among the words, where the command has some and one is there."""
    for action in parser._get_positional_actions():
        if action.nargs == argparse.PARSER and isinstance(action.choices, dict):
            return next((action.choices[word] for word in words if word in action.choices), parser)
    return parser


def _parsed(parser: argparse.ArgumentParser, rest: list[str]) -> argparse.Namespace:
    """Flags may stand between the paths, except where sub-commands have flags of their own."""
    nested = any(action.nargs == argparse.PARSER for action in parser._get_positional_actions())
    return parser.parse_args(rest) if nested else parser.parse_intermixed_args(rest)


def parser_of(name: str, rest: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The full parser of one command; `rest` lets a command add the flags of the method that is asked for."""
    module = importlib.import_module(f"imaginate.cli.{name.replace('-', '_')}")
    parser = _Parser(
        prog=f"imaginate {name}",
        description=(module.__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    from imaginate.cli._common import add_common, add_private

    module.add_arguments(parser)
    if name in _READS_ROWS:
        add_private(parser)
    if "add_dynamic" in vars(module):
        module.add_dynamic(parser, list(rest))
    add_common(parser)
    parser.first = vars(module).get("FIRST", ())
    return parser
