"""One progress bar for all long work: count, rate and time left, in a terminal or a notebook, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


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
def bar(text: str, total: float | None, *, unit: str = "images", done: float = 0, show: bool = True) -> Iterator[Bar]:
    """A progress bar over `total` pieces, of which `done` were finished earlier (they do not count in the rate).

    Where the total is not known beforehand, it is what was counted in the end.
    """
    if not show:
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
    columns = (TextColumn("{task.description}"), BarColumn(width), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task(text, total=total, completed=int(done))
        yield _Shown(progress, task)
        if total is None:
            progress.update(task, total=progress.tasks[0].completed)


def _notebook() -> bool:
    shell = sys.modules.get("IPython")
    return bool(shell and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell")
