"""Other Python processes of this machine that call functions for this one, without a cluster.

    with closing(Process()) as other:
        result = other.call(function, argument)

A process starts at once and reads the libraries while its caller goes on. It ends with its caller, however that ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from threading import Event, Thread
from typing import IO, Any, TypeVar

from imaginate.errors import ImaginateError, RunError

TRIES = 3  # processes that one call may end
Item = TypeVar("Item")
Result = TypeVar("Result")

_START = "from imaginate.processes import serve; serve()"


class ProcessDied(Exception):
    """The process ended in the middle of a call; `str(error)` says how."""


class Process:
    """One other process. `threads`: how many its numerical libraries use; `imports`: modules that it reads at once.

    What it prints is dropped: an error comes home as an error.
    """

    def __init__(self, *, threads: int = 1, imports: Sequence[str] = ()) -> None:
        own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": str(threads)}
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _START, *imports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **own},
            start_new_session=True,  # Ctrl-C in a terminal is for the caller alone
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._popen.pid

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What `function(*arguments)` returns there. The function must be one that a module holds by its name.

        Raises the ImaginateError that it raises, a RunError of one line for any other error (its cause holds the
        traceback), and ProcessDied.
        """
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            _send(self._popen.stdin, (function, arguments))
            kind, value = pickle.loads(_receive(self._popen.stdout))
        except (EOFError, OSError, ValueError):  # ValueError: closed by another thread
            raise ProcessDied(self._how()) from None
        if kind == "error":
            raise value
        if kind == "bug":
            raise RunError(f"a worker failed: {value.strip().splitlines()[-1]}") from RuntimeError(value)
        return value

    def close(self) -> None:
        """End it now."""
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _how(self) -> str:
        code = self._popen.wait()
        if code >= 0:
            return f"ended with {code}"
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


class LastingProcess:
    """A process that is started anew when it dies. `start` starts one, `prepare` is called in each before all else."""

    def __init__(
        self,
        start: Callable[[], Process],
        prepare: Callable[..., Any],
        *arguments: Any,
        first: Process | None = None,
    ) -> None:
        """`first`: one that was started before."""
        self._start, self._prepare, self._arguments = start, prepare, arguments
        self._process = first or start()
        self._is_prepared, self._is_closed = False, False

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As `Process.call`; ProcessDied where it died TRIES times in this call."""
        for attempt in range(TRIES):
            try:
                if not self._is_prepared:
                    self._process.call(self._prepare, *self._arguments)
                    self._is_prepared = True
                return self._process.call(function, *arguments)
            except ProcessDied:
                if self._is_closed:
                    raise
                self._is_prepared = False
                self._process.close()
                self._process = self._start()
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End it now, in the middle of a call or not."""
        self._is_closed = True
        self._process.close()


def take_turns(
    makers: Sequence[Callable[[Item], Any]], items: Iterable[Item], others: Sequence[LastingProcess]
) -> Generator[tuple[Item, Any]]:
    """Each item with what a maker returns for it, as they are finished: whoever is free takes the next one, each maker
    in a thread of its own.

    In place of a result stands the ProcessDied of an item that ended its process again and again; any other error is
    raised at once. At the end, however it comes, `others` are closed and the makers of this process finish what they
    have in hand.
    """
    waiting, results = deque(items), SimpleQueue[tuple[Item, Any, BaseException | None]]()
    count, stopped = len(waiting), Event()

    def work(make: Callable[[Item], Any]) -> None:
        while not stopped.is_set():
            try:
                item = waiting.popleft()
            except IndexError:
                return
            try:
                results.put((item, make(item), None))
            except ProcessDied as death:
                results.put((item, death, None))
            except BaseException as error:  # raised where the results are taken
                results.put((item, None, error))
                return

    threads = [Thread(target=work, args=(make,), daemon=True) for make in makers]
    try:
        for thread in threads:
            thread.start()
        for _ in range(count):
            item, result, error = results.get()
            if error is not None:
                raise error
            yield item, result
    finally:
        stopped.set()
        for other in others:
            other.close()
        for thread in threads:
            thread.join()


def processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    threads: ThreadPoolExecutor, work: Callable[[Item], Result], inputs: Iterable[Item], depth: int
) -> Iterator[Result]:
    """`map` in threads, in order, with at most `depth` results waiting; inputs are drawn by the caller's thread."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in inputs:
            waiting.append(threads.submit(work, item))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def side_by_side(
    function: Callable[..., Result], calls: Iterable[tuple[Any, ...]], count: int, imports: Sequence[str] = ()
) -> Iterator[Result]:
    """`function(*arguments)` of each call, in order, in `count` other processes of this machine; few calls are in
    memory at a time. Raises what `Process.call` raises, a RunError for a process that died; at the end, however it
    comes, the processes end."""
    idle = SimpleQueue[Process]()
    crew = [Process(imports=imports) for _ in range(count)]
    for process in crew:
        idle.put(process)

    def made(arguments: tuple[Any, ...]) -> Result:
        process = idle.get()
        try:
            result: Result = process.call(function, *arguments)
        except ProcessDied as death:
            raise RunError(f"a process of this machine {death}; the same command goes on") from None
        finally:
            idle.put(process)
        return result

    with ThreadPoolExecutor(count) as threads:
        try:
            yield from in_order(threads, made, calls, count + 1)
        finally:
            for process in crew:
                process.close()


def serve() -> None:
    """The other side: answer calls until the caller is gone."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 0)  # a process that is started from here shall not keep the caller's pipe open
    os.dup2(quiet, 1)
    calls: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(incoming, calls), daemon=True).start()
    for name in sys.argv[1:]:
        with suppress(ImportError):  # the call that needs it says so
            import_module(name)
    while True:
        _send(outgoing, _answer(calls.get()))


def _listen(incoming: IO[bytes], calls: SimpleQueue[bytes]) -> None:
    """Pass calls on. Without a caller there is nothing to finish: what is half written is known as unfinished."""
    try:
        while True:
            calls.put(_receive(incoming))
    except (EOFError, OSError):
        os._exit(1)


def _answer(call: bytes) -> tuple[str, Any]:
    try:
        function, arguments = pickle.loads(call)
        return "done", function(*arguments)
    except ImaginateError as error:
        return "error", error
    except Exception:
        return "bug", traceback.format_exc()


def _send(stream: IO[bytes], value: Any) -> None:
    data = pickle.dumps(value)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes:
    """One message; EOFError where the stream ends."""
    head = stream.read(8)
    data = stream.read(int.from_bytes(head, "big"))
    if len(head) < 8 or len(data) < int.from_bytes(head, "big"):
        raise EOFError
    return data
