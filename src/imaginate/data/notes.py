"""What a reader noticed is said once in a process, through the logger `imaginate`: the command line prints it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

_log = logging.getLogger("imaginate")
_said: set[tuple[str, str]] = set()


def say(path: str, notes: Iterable[str]) -> None:
    """Log each note on the dataset at a path, as a warning, unless this process has done so."""
    for note in notes:
        if (path, note) not in _said:
            _said.add((path, note))
            _log.warning("%s: %s", path, note)
