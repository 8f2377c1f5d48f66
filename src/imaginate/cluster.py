"""What everyone needs who spreads work over a Ray cluster: start it, share out its GPUs, bring errors home as a line.

    with session(workers, address) as ray:
        task = ray.remote(num_cpus=1, num_gpus=gpu_share(gpus, workers))(catch)
        result = unwrap(ray, task.remote(function, argument))

Ray is imported where it is used, never by importing this file.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from imaginate.errors import ConfigError, ImaginateError, RunError

_MODE, _TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_HOME_TOKEN = Path("~/.ray/auth_token")
_GRAIN = 10_000  # Ray counts resources in ten-thousandths
_PATIENCE = 10  # seconds for somebody to answer at an address; Ray itself tries for minutes
_LOST = 40  # seconds without a head; after 60 Ray ends the program. One that can start anew has this long


def require() -> None:
    """Refuse work on a cluster where Ray is not installed."""
    if find_spec("ray") is None:
        raise ConfigError("a cluster needs Ray: pip install 'imaginate[ray]'")


def library() -> Any:
    """The Ray library, which takes a moment to import. Untyped: Ray's own types hide its decorators."""
    require()
    import ray

    return ray


def address_of(given: str | None) -> str | None:
    """The cluster to use: the one that was named, or the one in RAY_ADDRESS; None is a Ray of this machine alone."""
    return given or os.environ.get("RAY_ADDRESS") or None


@contextmanager
def session(workers: int, address: str | None = None) -> Iterator[Any]:
    """Ray, ready for `workers`. It is started unless it runs already or there are no workers, and what was started
    here is stopped at the end."""
    ray = library()
    mine = workers > 0 and not ray.is_initialized()
    if not mine:
        yield ray
        return
    before = {name: os.environ.get(name) for name in (_MODE, _TOKEN)}
    try:
        start(ray, workers, address)
        yield ray
    finally:
        ray.shutdown()
        for name, value in before.items():  # Ray sets the mode for all that this process does later
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def start(ray: Any, workers: int, address: str | None) -> None:
    """Start Ray on this machine with room for `workers`, or join the cluster at `address`. RunError where it fails."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a worker without a share keeps its GPUs in sight
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own 15 leaves a worker what all others leave
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        options["address"] = address
    else:
        _use_own_token()
        # `local`: a cluster of its own, not the one that somebody started on this machine
        options.update(address="local", num_cpus=workers, include_dashboard=False)
    try:
        _knock(address or "")
        ray.init(**options)
    except Exception as error:  # Ray raises a bare one where its own processes do not start in time
        place = address or "this machine"
        raise RunError(f"cannot reach Ray at {place}: {_lines(error)[0]}{_about_token(address)}") from None


def _use_own_token() -> None:
    """A token for this session alone. Ray 2.59 and later else write one into the home folder at the first start, and
    use it from then on for every cluster, also for those that know none."""
    if (
        not any(os.environ.get(name) for name in (_MODE, _TOKEN, f"{_TOKEN}_PATH"))
        and not _HOME_TOKEN.expanduser().exists()
    ):
        os.environ[_TOKEN] = secrets.token_hex(32)


def _about_token(address: str | None) -> str:
    """What to try where a token in the home folder may be the reason."""
    if not address or os.environ.get(_MODE) == "disabled" or not _HOME_TOKEN.expanduser().exists():
        return ""
    return f"; if this cluster knows no token, set {_MODE}=disabled: Ray used the one in {_HOME_TOKEN}"


def _knock(address: str) -> None:
    """Raise OSError or ValueError where nobody answers at HOST:PORT; other forms of address are left to Ray."""
    place = urlsplit("//" + address.removeprefix("ray://"))
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), _PATIENCE).close()


class Head:
    """The process that keeps a cluster together. Where it is gone, Ray waits a minute whatever it is asked, then ends
    this program with a line about its insides."""

    def __init__(self, ray: Any, address: str) -> None:
        is_remote = address.startswith("ray://")  # to what is behind it there may be no way from here
        self.address = address if is_remote else str(ray.get_runtime_context().gcs_address)
        self._silent: float | None = None

    def answers(self) -> bool:
        """Whether Ray can be asked now. RunError where the head has been silent for long."""
        try:
            _knock(self.address)
        except OSError as error:
            self._silent = time.monotonic() if self._silent is None else self._silent
            if time.monotonic() - self._silent >= _LOST:
                raise RunError(
                    f"the head of the Ray cluster at {self.address} is gone; finished work is kept: start a cluster "
                    "again, then give the same command"
                ) from error
            return False
        self._silent = None
        return True


def gpu_share(gpus: float, workers: int) -> float:
    """The part of one GPU that each of `workers` asks for, so that all of them find room at once.

    With a GPU for each, a whole one, for Ray gives no parts of several (8 GPUs, 3 workers: 1). With fewer, as many
    share one as must: 2 GPUs and 3 workers give 1/2, since a worker that asks for 2/3 leaves no room for another.
    """
    if gpus <= 0:
        return 0.0
    together = math.ceil(workers / gpus)
    return (_GRAIN // together) / _GRAIN  # rounded down: three times 0.3334 would be more than one GPU


def device_inside(name: str) -> str:
    """What a worker calls the device that its caller calls `name`: it sees the GPUs that Ray gave it, numbered anew, so
    `cuda:1` is `cuda`."""
    return "cuda" if name.startswith("cuda:") else name


def enter(folder: str) -> None:
    """Work where the caller works, so that relative paths mean the same: the workers of a cluster that runs already
    stand where it was started. A folder that this machine lacks is left out."""
    if os.path.isdir(folder):
        os.chdir(folder)


def catch(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """("done", result), or ("error", error) for a deliberate error: as a value it keeps its type and its one line,
    where an exception would come home inside one of Ray's. For `unwrap`."""
    try:
        return "done", function(*arguments)
    except ImaginateError as error:
        return "error", error


def unwrap(ray: Any, reference: Any) -> Any:
    """Wait for what `catch` returned: the result, or its error raised. A worker that died or met a bug is a RunError of
    one line, whose cause holds the worker's traceback."""
    try:
        kind, value = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise RunError(f"a worker failed: {_lines(error)[-1]}") from error
    if kind == "error":
        raise value
    return value


def _lines(error: Exception) -> list[str]:
    """The lines of a message that say something; at least one."""
    return [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
