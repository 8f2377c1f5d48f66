"""Ray's few verbs over threads of this process, for tests of what is sent and of what comes back."""

from __future__ import annotations

import concurrent.futures
import importlib.machinery
import types
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def _kept(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class _Actor(types.SimpleNamespace):
    __hash__ = object.__hash__  # a handle of Ray can be a key


class OutOfReachError(BrokenPipeError):
    """An actor does not answer; whether it is dead is not known yet."""


class PretendedRay(types.ModuleType):
    """It runs already and has `gpus` GPUs; `asked` holds the options of every actor class and task, `cancelled` what
    was given up."""

    exceptions = types.SimpleNamespace(
        RayError=ConnectionError,
        RayActorError=BrokenPipeError,
        ActorUnavailableError=OutOfReachError,
        OutOfMemoryError=ConnectionResetError,
    )

    def __init__(self, gpus: int = 0) -> None:
        super().__init__("ray")
        self.__spec__ = importlib.machinery.ModuleSpec("ray", None)
        self.pool = ThreadPoolExecutor(4, "actor")
        self.asked: list[dict[str, Any]] = []
        self.cancelled: list[Future[Any]] = []
        self.is_initialized, self.cluster_resources = (lambda: True), (lambda: {"GPU": float(gpus)} if gpus else {})
        self.get_runtime_context = lambda: types.SimpleNamespace(gcs_address="")
        self.nodes = lambda: [{"NodeID": "here", "Alive": True}]
        self.killed: list[Any] = []
        self.kill = self.killed.append
        self.put, self.get = _kept, (lambda future: future.result())

    def remote(self, **options: Any) -> Any:
        self.asked.append(options)
        return lambda target: types.SimpleNamespace(
            remote=lambda *given: (
                self.actor(target(*given)) if isinstance(target, type) else self.pool.submit(target, *given)
            )
        )

    def actor(self, one: Any) -> Any:
        return _Actor(
            where=types.SimpleNamespace(remote=lambda: _kept("here")),
            make=types.SimpleNamespace(remote=lambda *given: self.pool.submit(one.make, *given)),
        )

    def wait(
        self, futures: list[Any], *, num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Any], list[Any]]:
        done, rest = concurrent.futures.wait(futures, timeout, "FIRST_COMPLETED")
        return list(done)[:num_returns], [*list(done)[num_returns:], *rest]

    def cancel(self, future: Future[Any], *, force: bool) -> None:
        assert force
        self.cancelled.append(future)
