"""Every error that imaginate raises on purpose.

    ImaginateError            one clear line: what is wrong, where, and what to do
    |-- DataError             the dataset that was given: missing, unreadable, empty, inconsistent
    |   |-- MisreadError      what a reader took for its own is another's, or damaged: other readers are asked first
    |   `-- ImageError        one image; the reason is short and is counted (`truncated`, `too large`)
    |-- ConfigError           a setting, a flag or a recipe key: its rule and the value that breaks it
    |-- ModelError            a checkpoint, a guide, a prior, an adaptation: missing, or not what was promised
    `-- RunError              a run, pool, fit or study folder: locked, changed, damaged, out of space

The command line prints the message alone and exits with 2; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class ImaginateError(Exception):
    """Base of all deliberate errors; `str(error)` is one line for a person."""


class DataError(ImaginateError):
    """The dataset cannot be used as it is."""


class ImageError(DataError):
    """One image cannot be used; `str(error)` is the reason under which it is counted."""


class MisreadError(DataError):
    """What looked like a layout is none, or is damaged: it is raised where no other reader can read it."""


class ConfigError(ImaginateError):
    """A setting is outside its rule, or an unknown name was given."""


class ModelError(ImaginateError):
    """A checkpoint, guide, prior or adaptation cannot be loaded or does not fit."""


class RunError(ImaginateError):
    """An output folder cannot be written, continued or read."""


def some(names: Sequence[str], most: int = 5) -> str:
    """Names in a message: `a, b, c, d, e and 7 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def listed(items: Sequence[str], limit: int = 8) -> str:
    """Names in a sentence: `a, b and c`, shortened where there are many; `none`."""
    shown = list(items[:limit]) + ([f"{len(items) - limit} more"] if len(items) > limit else [])
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1] if shown else "none"


def lines_of_classes(lines: Sequence[tuple[str, bool]], most: int = 40) -> list[str]:
    """A line a class for a person to read: all of them, or the first and those that matter (True), at most so many."""
    if len(lines) <= most:
        return [line for line, _ in lines]
    chosen = sorted(sorted(range(len(lines)), key=lambda i: (not lines[i][1], i))[: most - 1])
    return [*(lines[i][0] for i in chosen), f"... {len(lines) - len(chosen):,} more classes (--json lists all)"]
