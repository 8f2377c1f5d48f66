"""Commands that are killed before a change to a file, and given again: the same files, and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from undisturbed import COMMANDS, MAKES_RUN, contents, pictures

pytestmark = pytest.mark.integration

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


def give(command: list[str], folder: Path, point: int = 0, error: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command; it is killed before its change number `point`, or every change from there on fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", CHILD, str(point), str(error), *command]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset and a run."""
    root = tmp_path_factory.mktemp("ready")
    pictures(root / "data")
    assert give(MAKES_RUN, root).returncode == 0
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
