"""What every command takes: its flags from a file, how much it says, and where; and help that begins with what most
people need."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from imaginate.errors import ConfigError
from imaginate.files import first_line
from imaginate.limits import parse_yaml
from imaginate.settings import PRIVATE_FLAG, PRIVATE_SWITCH, nearest

Leaf = argparse.ArgumentParser


def add_common(parser: Leaf) -> None:
    """The flags that every command has; sub-commands have them each."""
    nested = sub_parsers(parser)
    for one in nested.values() if nested else [parser]:
        group = one.add_argument_group("everywhere")
        group.add_argument(
            "--config", metavar="FILE", help="flags by name in a YAML file; what is given here overrides it"
        )
        if "--quiet" not in one._option_string_actions:
            group.add_argument("--quiet", dest="is_quiet", action="store_true", help="no progress bar")
        group.add_argument("--verbose", action="store_true", help="say more of what is done")
        if "--json" not in one._option_string_actions:
            group.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
        group.add_argument("--log-file", metavar="FILE", help="keep all remarks in a file too, with the time")


def say(args: argparse.Namespace, result: object, *lines: str) -> None:
    """Print the lines of a result; with --json the result itself, as plain values."""
    print(as_json(result) if args.json is True else "\n".join(lines))


def as_json(result: object) -> str:
    """A result as JSON: what is no number is null, and what JSON has no word for is text."""
    return json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: vars(value)[field.name] for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def add_private(parser: Leaf) -> None:
    """The flag of every command that reads rows of somebody else's."""
    parser.add_argument(PRIVATE_FLAG, action="store_true", help="rows of data may name addresses of a private network")


def sub_parsers(parser: Leaf) -> Mapping[str, Leaf]:
    """The parsers of the sub-commands; empty where there are none."""
    for action in parser._get_positional_actions():
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def configured(rest: Sequence[str], parser_of: Callable[[Sequence[str]], Leaf]) -> tuple[Leaf, list[str]]:
    """The parser, and the words of the command line after those of its --config file. `parser_of` makes the parser for
    such words: a method that is named brings its flags."""
    path = asked(rest, "--config")
    if path is None:
        return parser_of(rest), list(rest)
    values = read_mapping(path, path, "hold flags by name, such as `copies: 5`")
    named = ["--method", str(values["method"])] if "method" in values and "--method" not in rest else []
    parser = parser_of([*named, *rest])
    nested = sub_parsers(parser)
    front = [word for word in rest[:1] if word in nested]
    leaf = nested[front[0]] if front else parser
    words = [word for key, value in values.items() for word in _words(leaf, str(key), value, rest, path)]
    return parser, [*front, *words, *rest[len(front) :]]


def asked(rest: Sequence[str], flag: str) -> str | None:
    """The value of a flag among the words of a command line, before they are parsed."""
    for position, word in enumerate(rest):
        if word == flag and position + 1 < len(rest):
            return rest[position + 1]
        if word.startswith(flag + "="):
            return word.split("=", 1)[1]
    return None


def read_mapping(path: str, what: str, must: str) -> dict[str, Any]:
    """A YAML file of values by name. ConfigError, which calls it `what`, where it cannot be read or is none; then it
    `must` be something else."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            found = parse_yaml(file.read())
    except OSError as error:
        raise ConfigError(f"cannot read {what}: {error.strerror}") from None
    except ValueError as error:  # also bytes that are no text
        raise ConfigError(f"{what} is not YAML: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{what} must {must}")
    return found


def _words(leaf: Leaf, key: str, value: object, rest: Sequence[str], path: str) -> list[str]:
    """A flag of the file as words of a command line; none where the command line has it."""
    flag = "--" + key.removeprefix("--").replace("_", "-")
    action = leaf._option_string_actions.get(flag)
    if action is None or flag == "--config":
        known = [name for name in leaf._option_string_actions if name.startswith("--")]
        raise ConfigError(f"{path}: {leaf.prog} has no flag {flag}{nearest(flag, known)}")
    given = {word.split("=")[0] for word in rest}
    if given & set(action.option_strings) or value is None:
        return []
    if isinstance(value, dict):
        raise ConfigError(f"{path}: {key} is a section; a whole recipe is given with --recipe")
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ConfigError(f"{path}: {key} must be true or false, got {value!r}")
        off = f"--no-{flag[2:]}"
        return [flag] if value else [off] if off in action.option_strings else []
    if isinstance(value, list):
        if isinstance(action, argparse._AppendAction):
            return [f"{flag}={one}" for one in value]
        value = ",".join(map(str, value))
    return [f"{flag}={str(value).lower() if isinstance(value, bool) else value}"]


@contextmanager
def heard(args: argparse.Namespace, notes: logging.Handler) -> Iterator[None]:
    """What --quiet, --verbose, --log-file and --private-addresses ask for, while a command runs."""
    from imaginate import progress

    log = logging.getLogger("imaginate")
    level, said = log.level, notes.level
    with ExitStack() as stack:
        if getattr(args, "is_quiet", False) or getattr(args, "quiet", False):
            stack.enter_context(progress.hidden())
        if getattr(args, "private_addresses", False):
            os.environ[PRIVATE_SWITCH] = "1"  # the environment, so that worker processes know
        if args.verbose:
            notes.setLevel(logging.INFO)
        if args.log_file:
            file = _log_file(args.log_file)
            log.addHandler(file)
            stack.callback(file.close)
            stack.callback(log.removeHandler, file)
        if args.verbose or args.log_file:
            log.setLevel(logging.INFO)
        try:
            yield
        finally:
            log.setLevel(level)
            notes.setLevel(said)


@contextmanager
def facts_shown() -> Iterator[None]:
    """What there is to know before a run begins is printed as it comes, but for warnings, which are notes."""
    log, level = logging.getLogger("imaginate.facts"), logging.getLogger("imaginate.facts").level
    shown = _Facts()
    log.addHandler(shown)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(shown)
        log.setLevel(level)


class _Facts(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print a fact."""
        if record.levelno < logging.WARNING:
            print(record.getMessage(), flush=True)


def _log_file(path: str) -> logging.Handler:
    try:
        file = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return file


@contextmanager
def only(parser: Leaf, first: Sequence[str]) -> Iterator[int]:
    """While it lasts, help shows the flags in `first`, those of the method that is named, and what has no dashes; the
    number of the flags that are left out."""
    hidden = []
    for action in parser._actions:
        is_first = not action.option_strings or not set(first).isdisjoint(action.option_strings)
        if not is_first and not action.dest.startswith("method.") and action.help != argparse.SUPPRESS:
            hidden.append((action, action.help))
            action.help = argparse.SUPPRESS
    try:
        yield len(hidden)
    finally:
        for action, words in hidden:
            action.help = words
