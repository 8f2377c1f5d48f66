"""Images that somebody removed from a run: every command says so; they can be made again, or accepted as rejected."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import imaginate
from imaginate.cli import main
from worlds import folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder(tmp_path / "data", classes=("ant", "bee"), each=3)
    imaginate.expand(str(tmp_path / "data"), tmp_path / "run", "flip-crop", copies=2, shard=4, progress=False)
    return tmp_path / "run"


def _files(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}


def _remove(run: Path) -> list[str]:
    """One original and two copies."""
    images = sorted((run / "images").rglob("*.png"))
    gone = [images[0], images[4], images[-1]]
    for path in gone:
        path.unlink()
    return [str(path.relative_to(run)) for path in gone]


def test_they_are_made_again_with_the_same_bytes(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = _files(run)
    _remove(run)
    words = (str(run.parent / "data"), run, "flip-crop")
    with caplog.at_level(logging.WARNING):
        imaginate.expand(*words, copies=2, shard=4, progress=False)
    assert "3 images are gone" in caplog.text
    assert len(_files(run)) == len(before) - 3, "nothing is made again unless it is asked for"
    imaginate.expand(*words, copies=2, shard=4, restore=True, progress=False)
    assert _files(run) == before


def test_they_are_accepted_as_rejected_by_hand(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = _remove(run)
    assert main(["refilter", str(run), "--filter", "quality"]) == 2
    assert "3 images are gone" in capsys.readouterr().err
    assert main(["refilter", str(run), "--accept-removed"]) == 0
    assert "3  removed by hand" in capsys.readouterr().out
    inside = imaginate.inspect(run)
    kept = inside.kept.column("file_name").to_pylist()
    assert len(kept) == 15
    assert set(kept).isdisjoint(gone)
    assert inside.rejected.column("reason").to_pylist() == ["removed by hand"] * 3
    assert "gone" not in str(inside)
    assert main(["refilter", str(run)]) == 0, "they do not come back"
    assert imaginate.inspect(run).kept.num_rows == 15


def test_an_earlier_verdict_stays_where_removals_are_accepted(run: Path) -> None:
    imaginate.refilter(run, [{"name": "quality", "side": 1000}], progress=False)
    assert imaginate.inspect(run).kept.num_rows == 6
    next((run / "images").rglob("*.png")).unlink()
    imaginate.refilter(run, accept_removed=True, progress=False)
    assert imaginate.inspect(run).kept.num_rows == 5


def test_every_other_command_says_so(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _remove(run)
    assert main(["inspect", str(run)]) == 0
    assert "3 images are gone" in capsys.readouterr().out
    assert main(["export", str(run), str(tmp_path / "out"), "--format", "webdataset"]) == 0
    said = capsys.readouterr()
    assert "15 images as webdataset" in said.out
    assert "note: left out: of " in said.err
    assert "3 images are gone" in said.err
    (note,) = [note for note in imaginate.open_dataset(run).notes if "gone" in note]
    assert "3 images are gone" in note
