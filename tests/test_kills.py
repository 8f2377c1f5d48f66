"""Commands that are killed before a change to a file, and given again: the same files, and no other."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.integration

NETWORK = ["--arch", "small", "--updates", "4", "--batch", "4", "--device", "cpu"]
EXPAND = ["expand", "data", "out", "--method", "randaugment", "--split", "train", "--copies", "1", "--shard", "4"]
COMMANDS = {
    "expand": [*EXPAND, "--quiet"],
    "refilter": ["refilter", "out", "--filter", "quality:sharpness=0.9"],
    "export": ["export", "run", "out", "--format", "webdataset", "--per-file", "3"],
    "train": ["train", "data", "--out", "out", "--split", "train", *NETWORK],
    "compare": ["compare", "data", "--arm", "original", "--held-out", "data", "--held-out-split", "test", "--out",
                "out", *NETWORK, "--seeds", "1", "--bootstrap", "100"],
    "fit": ["fit", "ft-conditioning", "data", "out", "--split", "train", "--prior", "nano", "--epochs", "1",
            "--sheet-steps", "1", "--batch", "4", "--draws", "1", "--device", "cpu", "--quiet"],
    "pool build": ["pool", "build", "out", "data/train", "--guide", "nano", "--device", "cpu", "--quiet"],
}  # fmt: skip

# A forked child runs the command and kills itself before its n-th change to a file below `out`, or fails there.
CHILD = """
import builtins, errno, os, signal, sys
from imaginate.cli import main
point, error, out = int(sys.argv[1]), int(sys.argv[2]), os.path.abspath("out")
seen = 0
def watch(event, arguments):
    global seen
    names = {"open": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.mkdir": 0, "os.symlink": 1,
             "os.truncate": 0}
    if event not in names or not isinstance(path := arguments[names[event]], (str, bytes, os.PathLike)):
        return
    if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    if not os.path.abspath(os.fsdecode(path)).startswith(out):
        return
    seen += 1
    if seen == point and not error:
        os.kill(os.getpid(), signal.SIGKILL)
    if error and seen >= point:
        raise OSError(error, os.strerror(error))
sys.addaudithook(watch)
code = main(sys.argv[3:])
print("CHANGES", seen)
sys.exit(code)
"""
TIMES = {"seconds", "sessions", "cost", "seconds_per_image"}


def picture(path: Path, seed: int) -> None:
    """A small picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(path)


def give(command: list[str], folder: Path, point: int = 0, error: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command; it is killed before its change number `point`, or every change from there on fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", CHILD, str(point), str(error), *command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def without_times(value: object) -> object:
    """JSON without what differs between any two runs."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def contents(root: Path, name: str) -> dict[str, str]:
    """A hash of every file; of a pool, whose files have random names, the rows."""
    if name == "pool build":
        import lancedb

        rows = lancedb.connect(str(root)).open_table("rows").to_arrow().to_pylist()
        found = {str(row["id"]): hashlib.sha256(repr(row["vector"]).encode()).hexdigest() for row in rows}
        return {**found, **{p.name: "" for p in root.iterdir()}}
    found = {}
    for path in (p for p in root.rglob("*") if p.is_file() and p.relative_to(root).parts[0] != "cache"):
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(without_times(json.loads(data))).encode()
        found[str(path.relative_to(root))] = hashlib.sha256(data).hexdigest() if path.name != "README.md" else ""
    return found


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset and a run."""
    root = tmp_path_factory.mktemp("ready")
    for split, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(("fern", "rose")):
            for k in range(count):
                picture(root / "data" / split / name / f"{k}.png", 1000 * label + 10 * k + (split == "test"))
    assert give([word.replace("out", "run") for word in COMMANDS["expand"]], root).returncode == 0
    return root


def folder_of(name: str, ready: Path, place: Path) -> Path:
    """A fresh folder in which the command can begin."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ready, place, symlinks=True)
    if name == "refilter":
        (place / "run").rename(place / "out")
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_ends_with_the_same_files(name: str, ready: Path, tmp_path: Path) -> None:
    command = COMMANDS[name]
    whole = give(command, folder_of(name, ready, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    changes = int(whole.stdout.rsplit("CHANGES", 1)[1])
    want = contents(tmp_path / "whole" / "out", name)
    points = sorted({2, changes // 3, 2 * changes // 3, changes - 1})
    for point in (p for p in points if p > 0):
        place = folder_of(name, ready, tmp_path / "w")
        killed = give(command, place, point)
        assert killed.returncode == -9, (point, killed.stderr)
        again = give(command, place)
        assert again.returncode == 0, (point, again.stderr)
        assert contents(place / "out", name) == want, f"killed before change {point} of {changes}"


@pytest.mark.parametrize("name", ["export", "expand", "refilter"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS", "EMFILE"])
def test_a_disk_that_fails_is_one_line(name: str, error: str, ready: Path, tmp_path: Path) -> None:
    import errno

    place = folder_of(name, ready, tmp_path / "w")
    failed = give(COMMANDS[name], place, 4, getattr(errno, error))
    assert failed.returncode == 2, failed.stderr
    assert "Traceback" not in failed.stderr
    again = give(COMMANDS[name], place)
    assert again.returncode == 0, again.stderr
