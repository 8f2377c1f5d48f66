"""Kill commands at random times, give them again, and compare what comes out with an undisturbed run.

    python benchmarks/kills.py --kills 1000        # goes on where it was stopped; writes results/kills.json

Each kill is a SIGKILL after a random share of the time that the command takes. Then the same command runs to its end.
It must end with 0, leave the files that an undisturbed run leaves, byte for byte but for times and costs, and nothing
else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from undisturbed import COMMANDS, MAKES_RUN, contents, pictures

RESULT = Path(__file__).parent / "results" / "kills.json"


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A command in a process of its own."""
    words = [sys.executable, "-m", "imaginate", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def prepare(name: str, folder: Path) -> None:
    """What is there before the command begins."""
    pictures(folder / "data")
    if name in ("refilter", "export"):
        assert start(COMMANDS["expand"] if name == "refilter" else MAKES_RUN, folder).wait() == 0


def try_once(name: str, ready: Path, took: float, want: dict[str, str], rng: random.Random) -> str:
    """One kill: `same`, or what went wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "w"
        shutil.copytree(ready, folder, symlinks=True)
        process = start(COMMANDS[name], folder)
        time.sleep(rng.random() * took)
        process.kill()
        process.wait()
        out = folder / "out"
        if name == "export" and not (out / ".lock").exists() and contents(out, name) == want:
            return "ended before"  # an export that is complete is not written again
        if start(COMMANDS[name], folder).wait() != 0:
            return "refused"
        found = contents(folder / "out", name)
        if found.keys() - want.keys():
            return "stray"
        return "same" if found == want else "different"


def main() -> None:
    """Kill until there are enough, in turns over the commands; the counts are written after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000, help="kills in all, over all calls (default 1000)")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so long (default 600)")
    args = parser.parse_args()
    counts: dict[str, dict[str, int]] = json.loads(RESULT.read_text())["counts"] if RESULT.exists() else {}
    end = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as temporary:
        ready: dict[str, tuple[Path, float, dict[str, str]]] = {}
        while (done := sum(sum(c.values()) for c in counts.values())) < args.kills and time.monotonic() < end:
            name = list(COMMANDS)[done % len(COMMANDS)]
            if name not in ready:
                folder = Path(temporary) / name
                folder.mkdir()
                prepare(name, folder)
                whole = Path(temporary) / f"{name}-whole"
                shutil.copytree(folder, whole, symlinks=True)
                began = time.monotonic()
                assert start(COMMANDS[name], whole).wait() == 0
                ready[name] = (folder, time.monotonic() - began, contents(whole / "out", name))
            outcome = try_once(name, *ready[name], random.Random(done))
            row = counts.setdefault(name, {})
            row[outcome] = row.get(outcome, 0) + 1
            text = json.dumps({"machine": platform.machine(), "python": platform.python_version(), "counts": counts})
            RESULT.write_text(text + "\n")
            print(f"{done + 1}: {name} {outcome}", flush=True)


if __name__ == "__main__":
    main()
