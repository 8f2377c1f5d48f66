"""One way for all commands to own a folder: one writer, a mark of what is begun, nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imaginate import ownership
from imaginate.errors import RunError
from imaginate.files import HOST, LOCK, PARTIAL, Folder
from imaginate.ownership import check_free, contents, is_begun, own, unfinished

HOLD = "import sys, time\nfrom imaginate.ownership import own\nwith own({root!r}, {command!r}) as owned:\n    {body}\n"
STAND = "owned.store.put('a.bin', b'1'); print('held', flush=True); time.sleep(60)"


@pytest.fixture
def another(tmp_path: Path) -> object:
    """Starts a process that owns a folder, and ends it after the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(root: Path, command: str = "train") -> subprocess.Popen[str]:
        code = HOLD.format(root=str(root), command=command, body=STAND)
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


Start = Callable[..., "subprocess.Popen[str]"]


def test_a_second_process_is_refused_and_told_who_writes(tmp_path: Path, another: Start) -> None:
    first = another(tmp_path / "out")
    with pytest.raises(RunError, match=rf"process {first.pid} on {HOST}, since 20.*wait for it, end it"):
        own(tmp_path / "out", "train").__enter__()
    with pytest.raises(RunError, match="is being written by another process"):
        check_free(Folder(tmp_path / "out"))


def test_the_lock_of_a_killed_process_is_free_and_its_folder_is_known(tmp_path: Path, another: Start) -> None:
    first = another(tmp_path / "out")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert unfinished(tmp_path / "out") == "train"
    assert is_begun(tmp_path / "out", "train")
    assert not is_begun(tmp_path / "out", "fit")
    with pytest.raises(RunError, match=r"holds an unfinished `imaginate train` that was stopped; give that command"):
        own(tmp_path / "out", "fit").__enter__()
    (tmp_path / "out" / PARTIAL / "half").mkdir(parents=True)
    (tmp_path / "out" / "arms" / PARTIAL / "half").mkdir(parents=True)
    with own(tmp_path / "out", "train") as owned:
        assert owned.is_resumed
        assert [p.name for p in (tmp_path / "out" / "arms").iterdir()] == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.bin", "arms"]


def test_nothing_is_left_of_a_command_that_was_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no"), own(tmp_path / "new", "train"):
        raise RunError("no")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="no"), own(tmp_path / "old", "train"):
        raise RunError("no")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["notes.txt"]


def test_what_was_begun_goes_on_with_the_same_settings_alone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), own(tmp_path, "export", what={"format": "csv"}) as owned:  # noqa: PT012
        owned.store.put("a.bin", b"1")
        raise KeyboardInterrupt
    with pytest.raises(RunError, match="unfinished `imaginate export` with other settings"):
        own(tmp_path, "export", what={"format": "parquet"}).__enter__()
    with own(tmp_path, "export", what={"format": "csv"}) as owned:
        assert owned.is_resumed
    assert contents(Folder(tmp_path)) == ["a.bin"]
    assert not (tmp_path / LOCK).exists()


def test_the_shares_of_a_folder_are_owned_one_by_one(tmp_path: Path) -> None:
    with own(tmp_path, "pool build", share="1/2"):
        with own(tmp_path, "pool build", share="2/2") as owned:
            owned.store.put("a.bin", b"1")
            with pytest.raises(RunError, match="another process"):
                own(tmp_path, "pool build", share="2/2").__enter__()
            with pytest.raises(RunError, match="another process"):
                own(tmp_path, "pool build").__enter__()
        assert unfinished(tmp_path) == "pool build"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_planted_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(RunError, match="cannot write"):
        own(tmp_path / "out", "train").__enter__()
    assert (tmp_path / "victim").read_text() == "mine"


def no_locks(*_: object) -> None:
    """A file system without locks."""
    raise OSError(errno.ENOLCK, "no locks available")


@pytest.fixture(params=["object store", "file system without locks", "Python without locks (Windows)"])
def leased(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder in which a lease takes the place of the lock."""
    monkeypatch.setattr(ownership, "BEAT", 0.02)
    monkeypatch.setattr(ownership, "LEASE", 0.5)
    if request.param == "object store":
        return Folder(f"memory://{tmp_path.name}")
    if "Windows" in request.param:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    else:
        monkeypatch.setattr("fcntl.flock", no_locks)
    return Folder(tmp_path / "out")


def test_a_lease_is_kept_while_its_owner_lives(leased: Folder) -> None:
    with own(leased, "expand", is_run=True) as owned:
        owned.store.put("a.bin", b"1")
        time.sleep(0.1)
        seen = json.loads(leased.get(LOCK).split(b"\n")[1])
        assert (seen["host"], seen["pid"]) == (HOST, os.getpid())
        assert seen["beat"] > 1
        with pytest.raises(RunError, match=f"process {os.getpid()} on {HOST}"):
            own(leased, "expand", is_run=True).__enter__()
    assert contents(leased) == ["a.bin"]
    assert not leased.exists(LOCK)


@pytest.mark.parametrize("beats", [False, True])
def test_a_lease_of_another_machine_ends_when_it_is_not_renewed(
    leased: Folder, monkeypatch: pytest.MonkeyPatch, beats: bool
) -> None:
    owner = {"host": "far", "pid": 7, "since": "then", "token": "x", "beat": 3}
    leased.put("a.bin", b"1")
    leased.put(LOCK, f'{{"command": "train"}}\n{json.dumps(owner)}\n'.encode())
    if not beats:
        with own(leased, "train") as owned:
            assert owned.is_resumed
        return
    renewed = f'{{"command": "train"}}\n{json.dumps({**owner, "beat": 4})}\n'.encode()
    monkeypatch.setattr(time, "sleep", lambda _: leased.put(LOCK, renewed))
    with pytest.raises(RunError, match="process 7 on far, since then"):
        own(leased, "train").__enter__()


@pytest.mark.parametrize("days", [-3000, 3000])
def test_a_clock_that_was_set_changes_nothing(tmp_path: Path, another: Start, days: int) -> None:
    first, then = another(tmp_path / "out"), time.time() + 86_400 * days
    for name in (LOCK, "a.bin"):
        os.utime(tmp_path / "out" / name, (then, then))
    with pytest.raises(RunError, match="is being written by another process"):
        own(tmp_path / "out", "train").__enter__()
    first.kill()
    first.wait()
    with own(tmp_path / "out", "train") as owned:
        assert owned.is_resumed


@pytest.mark.parametrize("since", ["1970-01-01 00:00:00 UTC", "2999-01-01 00:00:00 UTC", "\x1b[2J", 7, None])
def test_a_lease_is_judged_by_its_beats_and_not_by_its_times(leased: Folder, since: object) -> None:
    owner = {"host": "far", "pid": 7, "since": since, "token": "x", "beat": 3}
    leased.put("a.bin", b"1")
    leased.put(LOCK, f'{{"command": "train"}}\n{json.dumps(owner)}\n'.encode())
    with own(leased, "train") as owned:
        assert owned.is_resumed
