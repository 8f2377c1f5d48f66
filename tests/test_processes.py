"""Functions called in another process: results and errors come home, a death is noticed, none outlives its caller."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from imaginate.errors import ConfigError, RunError
from imaginate.processes import TRIES, LastingProcess, Process, ProcessDied, side_by_side, take_turns
from imaginate.registry import make


@pytest.fixture(scope="module")
def other() -> Iterator[Process]:
    with closing(Process()) as process:
        yield process


def test_a_result_comes_home_from_another_process(other: Process) -> None:
    assert other.call(os.getpid) == other.pid != os.getpid()
    assert other.call(math.comb, 40, 20) == math.comb(40, 20)


def test_what_it_prints_does_not_reach_the_answers(other: Process) -> None:
    other.call(print, "hello")
    other.call(os.system, "echo hello; cat")  # nor does a program that it starts read the calls
    assert other.call(len, "four") == 4


def test_an_error_comes_home_as_itself_or_as_one_line(other: Process) -> None:
    with pytest.raises(ConfigError, match=r"^unknown method 'cutot'; did you mean 'cutout'"):
        other.call(make, "methods", "cutot")
    with pytest.raises(RunError, match=r"^a worker failed: ZeroDivisionError: ") as caught:
        other.call(divmod, 1, 0)
    assert "Traceback" in str(caught.value.__cause__)


def test_a_death_says_how() -> None:
    with closing(Process()) as one, pytest.raises(ProcessDied, match=r"^ended with 3$"):
        one.call(os._exit, 3)
    with closing(Process()) as one, pytest.raises(ProcessDied, match=r"^was killed by SIGKILL, perhaps"):
        one.call(os.kill, one.pid, 9)


def test_it_ends_when_its_caller_is_killed_in_the_middle_of_a_call() -> None:
    code = """
import threading, time
from imaginate.processes import Process
process = Process()
process.call(len, "")
threading.Thread(target=process.call, args=(time.sleep, 60), daemon=True).start()
print(process.pid, flush=True)
time.sleep(60)
"""
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    number = int(caller.stdout.readline())
    caller.kill()
    caller.communicate()
    end = time.time() + 30
    while _runs(number) and time.time() < end:
        time.sleep(0.02)
    assert not _runs(number)


def _runs(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Scripted:
    """In place of a process: dies at every call of `len`."""

    started = 0

    def __init__(self) -> None:
        Scripted.started += 1
        self.prepared = 0

    def call(self, function: Any, *_: Any) -> Any:
        if function is len:
            raise ProcessDied("was killed by SIGKILL")
        self.prepared += 1
        return "done"

    def close(self) -> None:
        pass


def test_one_that_dies_is_started_anew_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scripted, "started", 0)
    lasting = LastingProcess(Scripted, str)  # type: ignore[arg-type]
    with pytest.raises(ProcessDied):
        lasting.call(len, "")
    assert Scripted.started == 1 + TRIES
    assert lasting.call(abs, 1) == "done", "the next call has a new process"
    assert lasting._process.prepared == 2, "which is prepared before its first call"  # type: ignore[attr-defined]


def test_whoever_is_free_takes_the_next_and_a_deadly_item_is_named() -> None:
    busy = threading.Event()

    def slow(item: int) -> str:
        busy.wait(30)
        return f"slow {item}"

    def quick(item: int) -> str:
        if item == 5:
            busy.set()
        if item == 3:
            raise ProcessDied("was killed by SIGKILL")
        return f"quick {item}"

    with closing(take_turns([slow, quick], range(6), [])) as made:
        found = dict(made)
    assert found.keys() == set(range(6))
    assert isinstance(found[3], ProcessDied)
    assert [str(found[item]).split()[0] for item in (4, 5)] == ["quick", "quick"]
    assert sum(str(text).startswith("slow") for text in found.values()) == 1


def test_the_first_error_ends_the_others() -> None:
    closed: list[bool] = []

    class Other:
        def close(self) -> None:
            closed.append(True)

    def fails(item: int) -> None:
        raise ConfigError(f"item {item}")

    with pytest.raises(ConfigError, match="item 0"):
        list(take_turns([fails], [0, 1], [Other()]))  # type: ignore[list-item]
    assert closed == [True]


def test_results_of_several_processes_come_in_order_and_none_stays() -> None:
    drawn: list[int] = []

    def calls() -> Iterator[tuple[int, int]]:
        for n in range(20):
            drawn.append(n)
            yield 20, n

    found = side_by_side(math.comb, calls(), 3)
    assert next(found) == 1
    assert len(drawn) <= 5
    assert list(found) == [math.comb(20, n) for n in range(1, 20)]
    assert os.getpid() not in side_by_side(os.getpid, [()] * 4, 2)


def test_a_dead_process_of_several_is_one_line_and_the_others_end() -> None:
    with pytest.raises(RunError, match=r"^a process of this machine ended with 3; the same command goes on$"):
        list(side_by_side(os._exit, [(3,), (3,)], 2))
