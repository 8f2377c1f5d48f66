"""What a reader noticed is said once in a process, through the logger `imaginate`: the command line prints it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_log = logging.getLogger("imaginate")
_said: set[tuple[str, str]] = set()
_shown: ContextVar[bool] = ContextVar("notes are shown by the caller", default=False)


@contextmanager
def shown_by_caller() -> Iterator[None]:
    """Notes on what is opened meanwhile are not logged: the caller shows them itself."""
    token = _shown.set(True)
    try:
        yield
    finally:
        _shown.reset(token)


def say(path: str, notes: Iterable[str]) -> None:
    """Log each note on the dataset at a path, as a warning, unless this process did or the caller shows them."""
    if _shown.get():
        return
    for note in notes:
        if (path, note) not in _said:
            _said.add((path, note))
            _log.warning("%s: %s", path, note)
