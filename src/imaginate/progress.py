"""One progress bar for all long work: count, rate and time left, in a terminal or a notebook, on standard error; where
that is a file, a line a minute.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

MINUTE = 60.0  # seconds between two lines where there is no terminal
_SHOWN = [True]


class Bar(Protocol):
    """What long work reports to."""

    def advance(self, count: float = 1) -> None:
        """Count finished pieces."""
        ...

    def note(self, text: str) -> None:
        """Change the words in front of the bar."""
        ...


class Silent:
    """A bar that shows nothing."""

    def advance(self, count: float = 1) -> None:
        """Count finished pieces; here, forget them."""

    def note(self, text: str) -> None:
        """Change the words; here, forget them."""


class _Shown:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: float = 1) -> None:
        self._progress.advance(self._task, count)

    def note(self, text: str) -> None:
        self._progress.update(self._task, description=text)


@contextmanager
def hidden() -> Iterator[None]:
    """No bar is shown while it lasts."""
    before, _SHOWN[0] = _SHOWN[0], False
    try:
        yield
    finally:
        _SHOWN[0] = before


@contextmanager
def bar(text: str, total: float | None, *, unit: str = "images", done: float = 0, show: bool = True) -> Iterator[Bar]:
    """A progress bar over `total` pieces, of which `done` were finished earlier (they do not count in the rate).

    Where the total is not known beforehand, it is what was counted in the end. Without a `unit` the pieces are not
    shown, only the share that is done and the time left.
    """
    if not show or not _SHOWN[0]:
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            over = task.finished_time
            speed = (task.completed - done) / over if over else task.speed
            return Text(f"{speed:,.1f} {unit}/s" if speed else f"- {unit}/s", style="cyan")

    console = Console(stderr=True, file=None if _notebook() else sys.stderr)
    width = max(6, min(40, console.width - len(text) - 50))  # the rest of the line takes some 50 columns
    count = (MofNCompleteColumn(), Rate()) if unit else (TextColumn("{task.percentage:>3.0f} %"),)
    columns = (TextColumn("{task.description}"), BarColumn(width), *count, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task(text, total=total, completed=int(done))
        with _lines(progress, done) if not console.is_terminal and not console.is_jupyter else nullcontext():
            yield _Shown(progress, task)
        if total is None:
            progress.update(task, total=progress.tasks[0].completed)


@contextmanager
def _lines(progress: Any, done: float) -> Iterator[None]:
    """Print a line a minute: what is being done, how far it is, and how long it will still take at this rate."""
    start, ended = time.monotonic(), threading.Event()

    def write() -> None:
        while not ended.wait(MINUTE):
            task = progress.tasks[0]
            share = task.percentage / 100 if task.total else 0.0
            fresh = task.completed - done
            left = (time.monotonic() - start) * (task.total - task.completed) / fresh if share and fresh > 0 else None
            more = "" if left is None else f", about {max(1, round(left / 60))} min left"
            progress.console.print(f"{task.description}: {task.percentage:.0f} %{more}", highlight=False)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _notebook() -> bool:
    shell = sys.modules.get("IPython")
    return bool(shell and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell")
