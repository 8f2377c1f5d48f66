"""What `plan` says before a run is what the run then does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import imaginate
from data import zoo
from imaginate.data import known_formats
from imaginate.engine import forecast
from imaginate.errors import lines_of_classes
from imaginate.runs import RunFolder
from worlds import folder


def ugly(root: Path, each: int = 4) -> Path:
    """Two classes of good images, and in the first one files whose names promise more than they hold."""
    heic = b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(300)
    dicom = b"II*\0".ljust(128, b"\0") + b"DICM" + bytes(400)
    bad = {"heic.jpg": heic, "scan.tif": dicom, "cut.png": zoo.png(9)[:-60], "not.webp": b"RIFF" + bytes(99)}
    for label, name in enumerate(("a", "b")):
        (root / name).mkdir(parents=True)
        for at in range(each):
            (root / name / f"{at}.png").write_bytes(zoo.png(10 * label + at))
    for name, data in bad.items():
        (root / "a" / name).write_bytes(data)
    return root


@pytest.mark.parametrize("balance", [False, True])
def test_plan_counts_as_expand_does(balance: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_formats, "is_installed", lambda library: False)
    ugly(tmp_path / "data")
    say = {"copies": 3, "shard": 5, "balance": balance}
    planned = imaginate.plan(str(tmp_path / "data"), "duplicate", **say)
    run = imaginate.expand(str(tmp_path / "data"), str(tmp_path / "run"), "duplicate", **say)
    rows = RunFolder(tmp_path / "run").rows()
    for name, counts in planned.plan.counts.items():
        mine = [row for row in rows if row["class_name"] == name]
        assert counts == {
            "seeds": sum(row["method"] is None for row in mine),
            "new": sum(row["method"] is not None for row in mine),
        }
    assert planned.plan.wanted == run.kept
    assert {item[0] for item in planned.plan.skipped} == {"a/heic.jpg", "a/scan.tif", "a/cut.png", "a/not.webp"}
    assert "HEIC: pip install 'imaginate[photo]'" in str(planned)
    assert "DICOM: pip install 'imaginate[medical]'" in str(planned)


def test_plan_says_how_many_seed_images_it_has_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ugly(tmp_path)
    monkeypatch.setattr(forecast, "PATIENCE", 0.0)
    planned = imaginate.plan(str(tmp_path), "duplicate")
    assert "1 of 12 seed images were decoded in advance" in str(planned)


def test_loading_a_library_does_not_use_up_the_time_for_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ugly(tmp_path)
    waits = iter([0.3])
    decode = forecast.pixels_of
    monkeypatch.setattr(forecast, "pixels_of", lambda sample: (time.sleep(next(waits, 0)), decode(sample))[1])
    monkeypatch.setattr(forecast, "PATIENCE", 0.25)
    assert "were decoded in advance" not in str(imaginate.plan(str(tmp_path), "duplicate"))


def test_what_there_was_no_time_to_read_is_said_and_planned_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder(tmp_path / "data", each=5)
    whole = imaginate.plan(str(data), "duplicate", copies=2)
    monkeypatch.setattr(forecast, "READING", -1.0)
    none_read = imaginate.plan(str(data), "duplicate", copies=2)
    assert none_read.plan.counts == whole.plan.counts
    assert len(none_read.plan.hashes) == len(whole.plan.hashes)


def test_of_many_classes_few_are_printed_and_those_without_images_first(tmp_path: Path) -> None:
    names = [f"class{number:03}" for number in range(60)]
    data = folder(tmp_path / "data", classes=names, each=1)
    text = str(imaginate.plan(str(data), "cutout", copies=1))
    assert text.count("\nclass0") == 39
    assert "\n... 21 more classes (--json lists all)\n" in text
    assert lines_of_classes([(name, name == "class059") for name in names])[-2:] == [
        "class059", "... 21 more classes (--json lists all)",
    ]  # fmt: skip
    assert lines_of_classes([(name, False) for name in names[:40]]) == names[:40]
