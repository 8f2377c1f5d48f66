"""What `inspect` and `plan` say of a dataset, each remark once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imaginate
from imaginate.cli import main
from worlds import folder


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two classes of three videos of four frames, in two splits."""
    folder(tmp_path / "train", ("ant", "bee"), each=12)
    for place in sorted(tmp_path.rglob("*.png")):
        number = int(place.stem)
        place.rename(place.with_name(f"video{number // 4:02}_frame{number % 4:04}.png"))
    folder(tmp_path / "test", ("ant", "bee"), each=1)
    return tmp_path


def test_each_note_on_a_dataset_is_printed_once(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(videos)]) == 0
    said = capsys.readouterr()
    both = said.out + said.err
    assert both.count("reading split 'train'") == 1
    assert said.err == ""
    assert main(["inspect", str(videos), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "reading split 'train', one of train, test" in json.loads(said.out)["notes"]


def test_frames_of_videos_are_noticed_before_the_waste(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(videos)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "--group-by" in line]
    assert "frames of 6 videos" in line
    (note,) = [n for n in imaginate.plan(str(videos), "cutout", progress=False).notes if "--group-by" in n]
    assert line == f"note: {note}"
