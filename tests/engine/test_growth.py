"""A run that grows: what is there stays bit for bit, the rest comes out as if it had been made at once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate.contract import Context
from imaginate.errors import RunError
from imaginate.files import EARLIER, Folder
from imaginate.methods.cutout import Cutout
from imaginate.records import Candidate, Request
from imaginate.runs import RunFolder
from worlds import folder, picture, png

KNOBS: dict[str, Any] = {"method": "cutmix", "shard": 6, "progress": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("data"))


def files(root: Path) -> dict[str, bytes]:
    """Every file of a run. Of `run.json`, what does not tell the time."""
    found = {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    found.pop(".lock")
    facts = json.loads(found.pop("run.json"))
    return {**found, "run.json": json.dumps({k: v for k, v in facts.items() if k not in ("sessions", "cost")}).encode()}


def images(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(root).items() if name.startswith("images/")}


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cutout` fails for a third of its copies: spare ones are asked for, and there are rejected rows."""
    plain = Cutout.expand

    def expand(self: Cutout, requests: Sequence[Request], context: Context) -> list[Candidate]:
        made = plain(self, requests, context)
        return [
            Candidate(key=c.key, label=c.label, copy=c.copy, seed=c.seed, image=None, failed="no number")
            if c.seed % 3 == 0
            else c
            for c in made
        ]

    monkeypatch.setattr(Cutout, "expand", expand)


@pytest.mark.parametrize("how", ["spare", "by class"])
def test_a_grown_run_is_the_run_made_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    failing(monkeypatch)
    knobs = {**KNOBS, "method": {"spare": "cutout", "by class": "adopt"}[how]}
    amount, few, many = ("per_class", 1, 4) if how == "by class" else ("copies", 2, 5)
    imaginate.expand(str(data), tmp_path / "run", **{amount: few}, **knobs)
    before = images(tmp_path / "run")
    run = imaginate.expand(str(data), tmp_path / "run", **{amount: many}, **knobs)
    imaginate.expand(str(data), tmp_path / "whole", **{amount: many}, **knobs)
    grown, whole = files(tmp_path / "run"), files(tmp_path / "whole")
    assert grown.keys() == whole.keys()
    assert [name for name in whole if grown[name] != whole[name]] == []
    assert before.items() <= grown.items()
    assert run.kept == run.wanted == 12 if how == "by class" else 60
    assert (how == "spare") == bool(run.rejected)


@pytest.mark.parametrize("after", [2, 3, 5, 12])
def test_stopped_while_it_grows_the_same_command_goes_on_and_no_other(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    imaginate.expand(str(data), tmp_path / "whole", copies=3, **KNOBS)
    imaginate.expand(str(data), tmp_path / "run", copies=2, **KNOBS)
    plain, count = {name: getattr(Folder, name) for name in ("put", "remove")}, iter(range(10**6))

    def stopping(name: str) -> Any:
        def act(self: Folder, *given: Any) -> None:
            if next(count) == after:
                raise MemoryError("pulled the plug")
            plain[name](self, *given)

        return act

    for name in plain:
        monkeypatch.setattr(Folder, name, stopping(name))
    with pytest.raises(MemoryError):
        imaginate.expand(str(data), tmp_path / "run", copies=3, **KNOBS)
    for name, function in plain.items():
        monkeypatch.setattr(Folder, name, function)
    assert RunFolder(tmp_path / "run").is_finished == (after < 2)
    if after > 2:
        with pytest.raises(RunError, match=r"copies was 3, is 2|grows just now, to \d+ new images"):
            imaginate.expand(str(data), tmp_path / "run", copies=2, **KNOBS)
    imaginate.expand(str(data), tmp_path / "run", copies=3, **KNOBS)
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_a_small_run_that_was_about_to_grow_is_still_the_small_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imaginate.expand(str(data), tmp_path / "run", copies=1, **KNOBS)
    before = files(tmp_path / "run")
    (tmp_path / "run" / EARLIER).write_bytes(b"half of a table")
    imaginate.expand(str(data), tmp_path / "run", copies=1, **KNOBS)
    assert files(tmp_path / "run") == before


def test_seeds_and_classes_are_added_and_labels_follow(tmp_path: Path) -> None:
    source = folder(tmp_path / "data", ("ant", "cow"), each=3)
    imaginate.expand(str(source), tmp_path / "run", copies=2, **KNOBS)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "images").rglob("*.png")}
    bytes_before = images(tmp_path / "run")
    for name in ("bee/000.png", "bee/001.png", "ant/009.png"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(png(picture(zlib.crc32(name.encode()))))
    run = imaginate.expand(str(source), tmp_path / "run", copies=2, **KNOBS)
    assert (run.originals, run.kept) == (9, 18)
    assert bytes_before.items() <= images(tmp_path / "run").items()
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())
    rows = run.table().to_pylist()
    assert {(row["class_name"], row["label"]) for row in rows} == {("ant", 0), ("bee", 1), ("cow", 2)}
    assert {str(Path(row["file_name"]).parent) for row in rows if row["label"] == 2} == {"images/cow"}
    old = [row for row in rows if row["method"] and row["file_name"] in bytes_before]
    assert len(old) == 12
    for row in old:
        assert len(row["soft_label"]) == 3
        assert row["soft_label"][1] == 0
        assert max(row["soft_label"]) == row["soft_label"][row["label"]]


def test_what_cannot_grow_is_refused_and_changes_nothing(data: Path, tmp_path: Path) -> None:
    source = folder(tmp_path / "data", ("ant", "b2", "b10"), each=2)
    knobs = {**KNOBS, "method": "cutout"}
    imaginate.expand(str(source), tmp_path / "run", copies=2, **knobs)
    before = files(tmp_path / "run")

    def refused(match: str, **changed: Any) -> None:
        with pytest.raises(RunError, match=match):
            imaginate.expand(str(source), tmp_path / "run", **{**knobs, "copies": 3, **changed})
        assert files(tmp_path / "run") == before

    refused("copies was 2, is 1", copies=1)
    refused("method.size was 0.5, is 0.3; expand.copies was 2, is 3", size=0.3)
    (source / "ant" / "009.png").write_bytes(png(picture(5)))
    gone = (source / "ant" / "000.png").read_bytes()
    (source / "ant" / "000.png").unlink()
    refused("copies was 2, is 3|1 missing")
    (source / "ant" / "000.png").write_bytes(gone)
    (source / "ANT").mkdir()
    (source / "ANT" / "0.png").write_bytes(png(picture(6)))
    refused("with the new classes, the folder of class 'ant' would be another")
    (source / "ANT" / "0.png").unlink()
    imaginate.refilter(tmp_path / "run", ["quality"], progress=False)
    before = files(tmp_path / "run")
    refused("cannot grow: it was refiltered or reviewed")


def test_a_run_whose_refiltering_was_taken_back_grows_like_any_other(data: Path, tmp_path: Path) -> None:
    imaginate.expand(str(data), tmp_path / "run", copies=1, **KNOBS)
    imaginate.refilter(tmp_path / "run", [{"name": "quality", "sharpness": 0.5}], progress=False)
    imaginate.refilter(tmp_path / "run", progress=False)
    imaginate.expand(str(data), tmp_path / "run", copies=3, **KNOBS)
    imaginate.expand(str(data), tmp_path / "whole", copies=3, **KNOBS)
    grown, whole = files(tmp_path / "run"), files(tmp_path / "whole")
    assert json.loads(grown.pop("run.json"))["refiltered"]
    assert whole.pop("run.json")
    assert grown == whole


def test_a_choice_of_the_best_cannot_grow(data: Path, tmp_path: Path) -> None:
    knobs = {**KNOBS, "method": "flip-crop", "policy": "best", "by": "quality", "filters": ["quality"], "tries": 1}
    imaginate.expand(str(data), tmp_path / "run", copies=1, **knobs)
    with pytest.raises(RunError, match=r"select best .* would choose among all images again"):
        imaginate.expand(str(data), tmp_path / "run", copies=2, **knobs)


def test_a_filter_of_the_whole_run_takes_no_earlier_image_away(data: Path, tmp_path: Path) -> None:
    knobs = {**KNOBS, "method": "duplicate", "filters": ["near-duplicate"]}
    imaginate.expand(str(data), tmp_path / "run", copies=1, **knobs)
    before = images(tmp_path / "run")
    imaginate.expand(str(data), tmp_path / "run", copies=3, **knobs)
    assert before.items() <= images(tmp_path / "run").items()
