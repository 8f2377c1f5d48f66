"""Images that somebody removed from a run: every command says so; they can be made again, or accepted as rejected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.contract import Context
from imaginate.methods.cutout import Cutout
from imaginate.records import Candidate, Request
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


def test_a_run_that_has_grown_gets_the_same_bytes_back(run: Path) -> None:
    words = (str(run.parent / "data"), run, "flip-crop")
    imaginate.expand(*words, copies=5, shard=4, progress=False)
    before = _files(run)
    assert len(_remove(run)) == 3
    imaginate.expand(*words, copies=5, shard=4, restore=True, progress=False)
    assert _files(run) == before


def test_after_more_seeds_their_pictures_are_the_same_ones(run: Path) -> None:
    """The file of an earlier copy names today's run; its pixels stay."""
    folder(run.parent / "data", classes=("ant", "bee", "cow"), each=4)
    words = (str(run.parent / "data"), run, "flip-crop")
    imaginate.expand(*words, copies=2, shard=4, progress=False)
    names = _remove(run)
    imaginate.expand(*words, copies=2, shard=4, restore=True, progress=False)
    imaginate.expand(words[0], run.parent / "whole", "flip-crop", copies=2, shard=4, progress=False)
    for name in names:
        assert Image.open(run / name).tobytes() == Image.open(run.parent / "whole" / name).tobytes()


def test_an_image_that_would_be_another_one_now_stays_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Copies that depend on one another: those of before and after the run grew were made in other groups."""
    data, run = str(folder(tmp_path / "data", classes=("ant", "bee"), each=2)), tmp_path / "run"
    plain = Cutout.expand

    def coupled(self: Cutout, requests: Sequence[Request], context: Context) -> list[Candidate]:
        group = {request.key: len(request.copies) for request in requests}
        made = plain(self, requests, context)
        return [replace(c, image=c.image // group[c.key], scores={"group": group[c.key]}) for c in made]

    monkeypatch.setattr(Cutout, "expand", coupled)
    for copies in (2, 5):
        imaginate.expand(data, run, "cutout", copies=copies, originals="none", progress=False)
    before = _files(run)
    gone = sorted((run / "images").rglob("*.png"))[:7]
    for path in gone:
        path.unlink()
    with caplog.at_level(logging.WARNING):
        imaginate.expand(data, run, "cutout", copies=5, originals="none", restore=True, progress=False)
    assert "7 of 7 images cannot be made again as they were" in caplog.text
    assert not any(path.exists() for path in gone)
    after = _files(run)
    assert {name: data for name, data in before.items() if name in after} == after | {
        "contact-sheet.png": before["contact-sheet.png"]
    }


def test_a_contact_sheet_leaves_their_place_empty(run: Path) -> None:
    first, second, third = sorted((run / "images").rglob("*.png"))[:3]
    first.unlink()
    second.write_bytes(b"no picture")
    third.write_bytes(third.read_bytes()[:60])
    found = imaginate.inspect(run)
    assert found.sheet()[1:4] == b"PNG"
    assert "1 image is gone" in found._repr_html_()


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
