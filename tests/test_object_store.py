"""A real S3 server on loopback: seeds and output there, a run that was stopped, and many who want one folder."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate import ownership
from imaginate.engine import shard
from imaginate.errors import RunError
from imaginate.files import LOCK, Folder
from imaginate.ownership import contents, own
from worlds import folder

pytestmark = pytest.mark.integration
KNOBS: dict[str, Any] = {"method": "cutmix", "copies": 3, "shard": 6, "progress": False}
RACERS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with nothing in it."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The url of an empty bucket, with all that clients read from the environment."""
    import fsspec

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "BEAT", 0.1)
    monkeypatch.setattr(ownership, "LEASE", 1.0)


def files(store: Folder, place: str = "") -> dict[str, bytes]:
    """Every file below, apart from what says when and where a run was."""
    found: dict[str, bytes] = {}
    for name in store.names(place):
        path = f"{place}/{name}" if place else name
        inner = {} if Path(name).suffix else files(store, path)
        found |= inner or {path: store.get(path)}
    return {name: data for name, data in found.items() if name not in ("run.json", LOCK)}


def test_a_run_on_s3_that_was_stopped_ends_with_the_bytes_of_a_local_one(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    seeds = folder(tmp_path / "seeds")
    fsspec.filesystem("s3").put(str(seeds), f"{bucket}/seeds", recursive=True)
    imaginate.expand(f"{bucket}/seeds", tmp_path / "whole", **KNOBS)
    make = shard.ShardWorker.make

    def stops(self: shard.ShardWorker, number: int) -> dict[str, Any]:
        if number == 3:
            raise KeyboardInterrupt
        return make(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(shard.ShardWorker, "make", stops)
        with pytest.raises(KeyboardInterrupt, match="3 of 6 shards done"):
            imaginate.expand(f"{bucket}/seeds", f"{bucket}/run", **KNOBS)
    imaginate.expand(f"{bucket}/seeds", f"{bucket}/run", **KNOBS)
    there, whole = files(Folder(f"{bucket}/run")), files(Folder(tmp_path / "whole"))
    assert there.keys() == whole.keys()
    images = [name for name in whole if name.startswith("images/")]
    assert len(images) == 12 + 36  # seeds and copies
    assert {name: there[name] for name in images} == {name: whole[name] for name in images}


def race(root: str) -> tuple[int, list[str]]:
    """How many of those who want a folder at once have it, and what the others are told."""
    start, told, owned = threading.Barrier(RACERS), list[str](), list[int]()
    over = threading.Event()

    def want(number: int) -> None:
        start.wait()
        try:
            with own(Folder(root), "train"):
                owned.append(number)
                over.wait(30)
        except RunError as error:
            told.append(str(error))

    threads = [threading.Thread(target=want, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while len(told) + len(owned) < RACERS and time.monotonic() < end:
        time.sleep(0.05)
    over.set()
    for thread in threads:
        thread.join()
    return len(owned), told


def test_of_many_that_begin_at_once_one_has_the_folder(bucket: str, quick: None) -> None:
    for number in range(3):
        had, told = race(f"{bucket}/out-{number}")
        assert had == 1
        assert all("is being written by another process" in line for line in told)
        assert contents(Folder(f"{bucket}/out-{number}")) == []


def test_of_many_that_find_an_owner_dead_one_takes_its_place(bucket: str, quick: None) -> None:
    owner = '{"host": "far", "pid": 7, "since": "then", "token": "x", "beat": 3}'
    for number in range(3):
        store = Folder(f"{bucket}/out-{number}")
        store.put("a.bin", b"1")
        store.put(LOCK, f'{{"command": "train"}}\n{owner}\n'.encode())
        had, _ = race(store.root)
        assert had == 1
        assert store.names() == ["a.bin"]


def test_a_note_of_a_taker_that_died_does_not_stand_in_the_way(bucket: str, quick: None) -> None:
    from imaginate.files import content_hash

    store, lock = Folder(f"{bucket}/out"), b'{"command": "train"}\n{"host": "far", "pid": 7, "token": "x"}\n'
    store.put("a.bin", b"1")
    store.put(LOCK, lock)
    store.put(f"{LOCK}-after-{content_hash(lock)}", lock)
    with own(store, "train") as owned:
        assert owned.is_resumed
    assert store.names() == ["a.bin"]
