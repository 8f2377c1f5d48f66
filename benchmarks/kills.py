"""Kill commands at random times, give them again, and compare what comes out with an undisturbed run.

    python benchmarks/kills.py --kills 1000        # goes on where it was stopped; writes results/kills.json

Each kill is a SIGKILL after a random share of the time that the command takes. Then the same command runs to its end.
It must end with 0, leave the files that an undisturbed run leaves, byte for byte but for times and costs, and nothing
else. A process that has read the libraries once is forked for each command, so that a kill takes a second.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from undisturbed import COMMANDS, MAKES_RUN, contents, pictures

RESULT = Path(__file__).parent / "results" / "kills.json"
LIMIT = 300.0  # seconds after which a command is stuck
WITH_THREADS = ("lancedb", "lance", "pylance", "ray", "matplotlib")  # what no process may have read that is forked


def fork(work: Callable[[], int], folder: Path) -> int:
    """The number of a process that works in a folder, without a word."""
    sys.stdout.flush()
    if number := os.fork():
        return number
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def start(command: list[str], folder: Path, modules: Path | None = None) -> int:
    """A command in a process of its own; `modules`: where it notes what it imported."""

    def work() -> int:
        from imaginate.cli import main

        code = main(command)
        if modules:
            modules.write_text("\n".join(sys.modules))
        return code

    return fork(work, folder)


def wait(number: int) -> int:
    """The exit code of a process; -9 where it was killed, 124 where it does not end."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return 124


def found(name: str, folder: Path) -> dict[str, str]:
    """`contents` of what a command wrote, by another process."""
    with tempfile.TemporaryDirectory() as place:
        note = Path(place) / "contents.json"

        def work() -> int:
            note.write_text(json.dumps(contents(folder / "out", name)))
            return 0

        assert wait(fork(work, folder)) == 0, folder
        return dict(json.loads(note.read_text()))


def prepare(name: str, folder: Path) -> None:
    """What is there before the command begins."""
    pictures(folder / "data")
    if name in ("refilter", "export"):
        assert wait(start(COMMANDS["expand"] if name == "refilter" else MAKES_RUN, folder)) == 0


def whole(name: str, ready: Path, folder: Path) -> tuple[float, dict[str, str]]:
    """How long an undisturbed run takes, and what it leaves. Whatever it imports is imported here, too."""
    modules = folder.parent / f"{name}.modules"
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ready, folder, symlinks=True)
        began = time.monotonic()
        assert wait(start(COMMANDS[name], folder, modules)) == 0, name
        took = time.monotonic() - began
        for module in modules.read_text().split():
            if module.partition(".")[0] not in WITH_THREADS and module not in sys.modules:
                with suppress(Exception):
                    importlib.import_module(module)
    return took, found(name, folder)


def try_once(name: str, ready: Path, took: float, want: dict[str, str], rng: random.Random) -> str:
    """One kill: `same`, or what went wrong; `ended` where the command was faster."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "w"
        shutil.copytree(ready, folder, symlinks=True)
        process = start(COMMANDS[name], folder)
        time.sleep(rng.random() * took)
        os.kill(process, signal.SIGKILL)
        if wait(process) == 0:
            return "ended"
        if name == "export" and not (folder / "out" / ".lock").exists() and (folder / "out").exists():
            return "same" if found(name, folder) == want else "different"  # a complete export is not written again
        if code := wait(start(COMMANDS[name], folder)):
            return "stuck" if code == 124 else "refused"
        have = found(name, folder)
        if have.keys() - want.keys():
            return "stray"
        return "same" if have == want else "different"


def main() -> None:
    """Kill until there are enough, in turns over the commands; the counts are written after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000, help="kills in all, over all calls (default 1000)")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so long (default 600)")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    counts: dict[str, dict[str, int]] = json.loads(RESULT.read_text())["counts"] if RESULT.exists() else {}
    end, turn = time.monotonic() + 60 * args.minutes, sum(sum(row.values()) for row in counts.values())
    with tempfile.TemporaryDirectory() as temporary:
        ready: dict[str, tuple[Path, float, dict[str, str]]] = {}
        while sum(sum(row.values()) for row in counts.values()) < args.kills and time.monotonic() < end:
            name = list(COMMANDS)[turn % len(COMMANDS)]
            if name not in ready:
                folder = Path(temporary) / name
                folder.mkdir()
                prepare(name, folder)
                ready[name] = (folder, *whole(name, folder, Path(temporary) / f"{name}-whole"))
            outcome = try_once(name, *ready[name], random.Random(turn))
            turn += 1
            if outcome == "ended":
                continue
            row = counts.setdefault(name, {})
            row[outcome] = row.get(outcome, 0) + 1
            facts = {"machine": platform.machine(), "python": platform.python_version(), "counts": counts}
            RESULT.write_text(json.dumps(facts, indent=1) + "\n")
            print(f"{turn}: {name} {outcome}", flush=True)


if __name__ == "__main__":
    main()
