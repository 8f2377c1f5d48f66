"""Curves of `fit`, `train` and `compare` for the tool in which a team watches them, through that tool's own client.

    with tracking("tensorboard", "model/", "flowers", {"arch": "scratch"}):
        train("flowers/", "model/")              # what it logs on the way goes to model/tensorboard/

A tool is one file here with a class of its name that is a `Tracker`. It is opened with the first value, when the folder
is there and owned. Without a tool, `log` does nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from imaginate.errors import ConfigError

Word = Literal["tensorboard", "wandb", "mlflow"]
Plain = str | int | float | bool | None
WORDS: tuple[Word, ...] = get_args(Word)
_PACKAGES: dict[str, tuple[str, str]] = {
    "tensorboard": ("tensorboard", "pip install 'imaginate[log]'"),
    "wandb": ("wandb", "pip install 'imaginate[log]'"),
    "mlflow": ("mlflow", "pip install mlflow-skinny"),
}


class Tracker(Protocol):
    """One run in a tool."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at one step."""
        ...

    def close(self) -> None:
        """Everything is written, and the run is ended."""
        ...


@dataclass
class _Session:
    word: Word
    folder: str
    name: str
    settings: Mapping[str, Plain]
    tracker: Tracker | None = None


_CURRENT: ContextVar[_Session | None] = ContextVar("tracking", default=None)


def check(word: str) -> Word:
    """The tool. ConfigError for one that is not known, or whose client is not installed."""
    known = next((one for one in WORDS if one == word), None)
    if known is None:
        raise ConfigError(f"log must be one of {', '.join(WORDS)}, got {word!r}")
    package, advice = _PACKAGES[known]
    try:
        found = importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise ConfigError(f"--log {known} needs {package}, which is not installed: {advice}")
    return known


@contextmanager
def tracking(word: str | None, folder: str, name: str, settings: Mapping[str, Plain]) -> Iterator[None]:
    """Send what is logged inside to a tool, as one run called `name`; files go below `folder`. None: to nothing."""
    if word is None:
        yield
        return
    session = _Session(check(word), folder, name, settings)
    token = _CURRENT.set(session)
    try:
        yield
    finally:
        _CURRENT.reset(token)
        if session.tracker is not None:
            session.tracker.close()


def log(values: Mapping[str, float | None], step: int) -> None:
    """Log numbers where a tool is open; what is None is left out."""
    session = _CURRENT.get()
    if session is None:
        return
    if session.tracker is None:
        session.tracker = _open(session)
    session.tracker.log({name: float(value) for name, value in values.items() if value is not None}, step)


def _open(session: _Session) -> Tracker:
    if session.word == "tensorboard":
        from imaginate.tracking.tensorboard import TensorBoard

        return TensorBoard(session.folder, session.name, session.settings)
    if session.word == "wandb":
        from imaginate.tracking.wandb import WandB

        return WandB(session.folder, session.name, session.settings)
    from imaginate.tracking.mlflow import MLflow

    return MLflow(session.folder, session.name, session.settings)
