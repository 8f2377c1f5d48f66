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
_OPEN: list[Any] = []  # the display that is shown: a bar within a bar is a line of it


class Bar(Protocol):
    """What long work reports to."""

    def advance(self, count: float = 1) -> None:
        """Count finished pieces."""
        ...

    def note(self, text: str) -> None:
        """Change the words in front of the bar."""
        ...

    def expect(self, total: float) -> None:
        """Change how many pieces there are."""
        ...


class Silent:
    """A bar that shows nothing."""

    def advance(self, count: float = 1) -> None:
        """Count finished pieces; here, forget them."""

    def note(self, text: str) -> None:
        """Change the words; here, forget them."""

    def expect(self, total: float) -> None:
        """Change the total; here, forget it."""


class _Shown:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: float = 1) -> None:
        self._progress.advance(self._task, count)

    def note(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def expect(self, total: float) -> None:
        self._progress.update(self._task, total=total)


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
    shown, only the share that is done and the time left. A bar within a bar is a line below it.
    """
    if not show or not _SHOWN[0]:
        yield Silent()
        return
    is_first = not _OPEN
    if is_first:
        _OPEN.append(_progress(text))
    progress = _OPEN[0]
    try:
        with progress if is_first else nullcontext():
            task = progress.add_task(text, total=total, completed=done, unit=unit, done=done)
            with _lines(progress, task) if not _is_live(progress.console) else nullcontext():
                yield _Shown(progress, task)
            if (known := _task(progress, task)).total is None:
                progress.update(task, total=known.completed)
            if not is_first:
                progress.remove_task(task)
    finally:
        if is_first:
            _OPEN.clear()


def _progress(text: str) -> Any:
    """The display of a bar and of those within it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Any) -> Text:
            if not task.fields["unit"]:
                return Text(f"{task.percentage:>3.0f} %", style="green")
            whole = "?" if task.total is None else f"{int(task.total)}"
            return Text(f"{int(task.completed):{len(whole)}d}/{whole}", style="green")

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            if not (unit := task.fields["unit"]):
                return Text("")
            over = task.finished_time
            speed = (task.completed - task.fields["done"]) / over if over else task.speed
            return Text(f"{speed:,.1f} {unit}/s" if speed else f"- {unit}/s", style="cyan")

    console = Console(stderr=True, file=None if _notebook() else sys.stderr)
    width = max(6, min(40, console.width - len(text) - 50))  # the rest of the line takes some 50 columns
    columns = (TextColumn("{task.description}"), BarColumn(width), Count(), Rate(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=False)


def _task(progress: Any, number: Any) -> Any:
    return next(task for task in progress.tasks if task.id == number)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 20 min`, `5 days`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 1440)} days"


def _is_live(console: Any) -> bool:
    return bool(console.is_terminal or console.is_jupyter)


@contextmanager
def _lines(progress: Any, number: Any) -> Iterator[None]:
    """Print a line a minute: what is being done, how far it is, and how long it will still take at this rate."""
    start, ended = time.monotonic(), threading.Event()

    def write() -> None:
        while not ended.wait(MINUTE):
            task = _task(progress, number)
            share = task.percentage / 100 if task.total else 0.0
            fresh = task.completed - task.fields["done"]
            left = (time.monotonic() - start) * (task.total - task.completed) / fresh if share and fresh > 0 else None
            more = "" if left is None else f", about {duration(left)} left"
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
