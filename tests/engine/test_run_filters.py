"""What the whole run decides: near-duplicates across shards, and sample-agnostic selection."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate.files import Folder
from imaginate.write import tables
from worlds import folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", each=3)


def rows(run: imaginate.Run, rejected: bool = False) -> list[dict[str, Any]]:
    table = tables.read(Folder(run.path), tables.REJECTED if rejected else tables.KEPT)
    return [r for r in table.to_pylist() if r["method"]]


def test_repeats_in_different_shards_are_refused_but_the_first(data: Path, tmp_path: Path) -> None:
    knobs: dict[str, Any] = {"method": "duplicate", "copies": 4, "progress": False}
    one = imaginate.expand(str(data), tmp_path / "one", **knobs, shard=1, filters=[{"name": "near-duplicate"}])
    two = imaginate.expand(str(data), tmp_path / "two", **knobs, shard=99, filters=[{"name": "near-duplicate"}])
    assert (one.kept, dict(one.rejected)) == (9, {"near-duplicate": 27}) == (two.kept, dict(two.rejected))
    assert Counter(r["copy"] for r in rows(one)) == {0: 9}
    for row in rows(one) + rows(one, rejected=True):
        assert (tmp_path / "one" / row["file_name"]).is_file()
        assert row["file_name"].startswith("images/" if row["kept"] else "rejected/")
    assert sum(1 for p in (tmp_path / "one" / "images").rglob("*.png")) == 9 + 9


def test_a_death_while_settling_changes_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knobs: dict[str, Any] = {
        "method": "duplicate",
        "copies": 2,
        "progress": False,
        "filters": [{"name": "near-duplicate"}],
    }
    calm = imaginate.expand(str(data), tmp_path / "calm", **knobs)
    move, count = Folder.move, iter(range(10**6))

    def failing(self: Folder, name: str, to: str) -> None:
        if next(count) == 4:
            raise MemoryError("pulled the plug")
        move(self, name, to)

    monkeypatch.setattr(Folder, "move", failing)
    with pytest.raises(MemoryError):
        imaginate.expand(str(data), tmp_path / "run", **knobs)
    monkeypatch.setattr(Folder, "move", move)
    again = imaginate.expand(str(data), tmp_path / "run", **knobs)
    assert (again.kept, again.rejected) == (calm.kept, calm.rejected)
    assert rows(again) == rows(calm)
    assert rows(again, rejected=True) == rows(calm, rejected=True)
