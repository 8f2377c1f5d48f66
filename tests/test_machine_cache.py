"""The cache of a machine: what is kept comes back whole or not at all, whoever else writes, dies or damages it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imaginate import machine_cache
from imaginate.cli import main
from imaginate.cli.cache import bytes_of
from imaginate.errors import ConfigError
from imaginate.machine_cache import MachineCache


def values(count: int, size: int = 2000, name: str = "") -> dict[str, bytes]:
    return {f"{name}{n}": os.urandom(size) for n in range(count)}


def test_what_is_kept_comes_back_in_another_process(tmp_path: Path) -> None:
    kept = values(700, 100)
    MachineCache(tmp_path).put(kept)
    again = MachineCache(tmp_path)
    assert again.get([*kept, "unknown"]) == kept
    again.clear()
    assert again.get(kept) == {}
    assert again.usage().entries == 0


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    cache, kept = MachineCache(tmp_path), values(100)
    cache.set_limit(400_000)
    cache.put(kept)
    clock[0] += 2 * 3600
    used = [f"{n}" for n in range(40)]
    assert set(cache.get(used)) == set(used)
    clock[0] += 2 * 3600
    cache.put(values(100, name="new"))
    assert set(used) <= set(cache.get(kept)) != set(kept)
    assert cache.usage().bytes <= 400_000
    assert (tmp_path / "values.sqlite").stat().st_size <= 500_000
    cache.set_limit(0)
    cache.put(values(1))
    assert cache.usage().entries == 0


def test_a_damaged_value_is_not_taken(tmp_path: Path) -> None:
    kept = values(3)
    MachineCache(tmp_path).put(kept)
    with sqlite3.connect(tmp_path / "values.sqlite") as database:
        database.execute("UPDATE entries SET value = ? WHERE key = '1'", (b"x" * 2000,))
        database.execute("UPDATE entries SET value = 'text' WHERE key = '2'")
    assert set(MachineCache(tmp_path).get(kept)) == {"0"}


@pytest.mark.parametrize("damage", ["no database", "cut", "another table"])
def test_a_damaged_file_is_begun_again(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "values.sqlite"
    MachineCache(tmp_path).put(values(50))
    if damage == "another table":
        with sqlite3.connect(file) as database:
            database.executescript("DROP TABLE entries; CREATE TABLE entries (a, b)")
    else:
        file.write_bytes(b"no database" * 999 if damage == "no database" else file.read_bytes()[:5000])
    cache = MachineCache(tmp_path)
    cache.get(["1"])
    cache.put({"1": b"one"})
    assert MachineCache(tmp_path).get(["1"]) in ({"1": b"one"}, {})  # at worst nothing is kept
    assert cache.get(["2"]) == {}


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "below", None):
        cache = MachineCache(place)
        cache.put({"a": b"b"})
        assert cache.get(["a"]) == {}
        assert cache.usage().path is None
    monkeypatch.setenv("IMAGINATE_CACHE", str(tmp_path / "there"))
    assert machine_cache.cache().folder == tmp_path / "there"
    monkeypatch.setenv("IMAGINATE_CACHE", "off")
    assert machine_cache.cache().folder is None


WRITER = """
import os, sys
from pathlib import Path
from imaginate.machine_cache import MachineCache
cache, n = MachineCache(Path(sys.argv[1])), 0
while True:
    cache.put({f"{n % 300}": f"{n % 300}".encode() * 500})
    n += 1
    if n == 20:
        print("running", flush=True)
"""


@pytest.mark.integration
def test_processes_that_write_and_are_killed_damage_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "running\n"
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
        found = MachineCache(tmp_path).get(map(str, range(300)))
        assert len(found) >= 20
        assert all(value == key.encode() * 500 for key, value in found.items())
        with sqlite3.connect(tmp_path / "values.sqlite") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_command_shows_limits_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGINATE_CACHE", str(tmp_path))
    machine_cache.cache().put(values(5))
    assert main(["cache", "limit", "10GB"]) == 0
    assert "5 values" in (shown := capsys.readouterr().out)
    assert "10 GB" in shown
    assert main(["cache", "clear"]) == 0
    assert main(["cache"]) == 0
    assert "0 values" in capsys.readouterr().out
    assert main(["cache", "limit"]) == 2
    assert main(["cache", "limit", "much"]) == 2
    monkeypatch.setenv("IMAGINATE_CACHE", "off")
    assert main(["cache"]) == 0
    assert "no cache" in capsys.readouterr().out


def test_sizes_are_read_as_people_write_them() -> None:
    assert [bytes_of(text) for text in ("0", "500mb", "1.5 GB", "2G")] == [0, 500_000_000, 1_500_000_000, 2 * 10**9]
    with pytest.raises(ConfigError, match="a size must be"):
        bytes_of("-1")
