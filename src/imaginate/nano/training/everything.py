"""All trainings of the bundled models in a given time: `python -m imaginate.nano.training all --minutes 8`.

Each is a process of its own, resumed where it was. On a GPU they run at the same time and wait for what they build on:
nano-sd for the autoencoder's encoder, nano-unclip for nano-clip. On a CPU they run one after another in the same
recipe, and share the minutes.
"""

import subprocess
import sys
from pathlib import Path

from imaginate.nano.training import data

SHARES = {"vae": 0.26, "judge": 0.25, "mae": 0.28, "clip": 0.36, "sd": 0.82, "unclip": 0.24}  # of the minutes, on a GPU
WAIT = 3600.0  # seconds


def run(root: Path, out: Path, device: str, minutes: float, more: list[str]) -> None:
    """Train everything; SystemExit with the names of what failed."""
    together = device != "cpu"
    shares = {name: share / (1 if together else sum(SHARES.values())) for name, share in SHARES.items()}
    for part in ("train", "val"):
        data.load(root, part)  # decoded once, before six processes ask for it
    base = [sys.executable, "-m", "imaginate.nano.training"]
    where = ["--data", str(root), "--device", device, *more]
    started: dict[str, subprocess.Popen[bytes]] = {}
    for name, share in shares.items():
        times = ["--minutes", f"{share * minutes:.3f}", "--wait", str(WAIT if together else 0)]
        started[name] = subprocess.Popen([*base, name, "--out", str(out / name), *where, *times])
        if not together and started[name].wait():
            break
    if failed := [name for name, process in started.items() if process.wait()]:
        raise SystemExit(f"training failed: {', '.join(failed)}; start again to go on from the last checkpoints")
