"""Refilter on a real run: what moves, what comes back, what a kill leaves behind, and what may not be touched."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from imaginate import registry
from imaginate.cli import main
from imaginate.files import Folder
from imaginate.write import tables


def _scene(number: int) -> np.ndarray:
    """(32, 32, 3) uint8; every third one is blank."""
    rng = np.random.default_rng(number)
    if number % 3 == 0:
        return np.full((32, 32, 3), 100 + number, np.uint8)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((32, 32), Image.BICUBIC))


@pytest.fixture
def run_folder(tmp_path):
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(_scene(10 * label + i)).save(tmp_path / "data" / name / f"{i}.png")
    imaginate.expand(str(tmp_path / "data"), tmp_path / "run", "flip-crop", copies=3, seed=1, shard=4, progress=False)
    return tmp_path / "run"


def _state(run: Path) -> tuple[list[dict], list[dict], list[str]]:
    store = Folder(run)
    files = sorted(str(p.relative_to(run)) for side in ("images", "rejected") for p in (run / side).rglob("*.png"))
    return tables.read(store).to_pylist(), tables.read(store, tables.REJECTED).to_pylist(), files


def _consistent(run: Path) -> None:
    kept, refused, files = _state(run)
    assert sorted(r["file_name"] for r in kept + refused if r["file_name"]) == files
    assert all(r["kept"] and r["file_name"].startswith("images/") for r in kept)
    assert all(not r["kept"] and r["reason"] and r["file_name"].startswith("rejected/") for r in refused)


def test_images_go_and_come_back_to_their_place(run_folder, capsys):
    before = _state(run_folder)
    assert main(["refilter", str(run_folder), "--filter", "quality"]) == 0
    kept, refused, _ = _state(run_folder)
    _consistent(run_folder)
    assert {r["reason"] for r in refused} == {"refilter: blank"}
    assert len(refused) == 6, "three copies of each of the two blank seeds"
    assert all(r["score_quality"] > 0.004 for r in kept if r["method"])
    assert "6 rejected" in capsys.readouterr().out
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["totals"]["rejected"] == {"refilter: blank": 6}
    assert facts["totals"]["kept"] == 12
    assert main(["refilter", str(run_folder)]) == 0
    after = _state(run_folder)
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert (after[1], len(json.loads((run_folder / "run.json").read_text())["refiltered"])) == ([], 2)


def test_the_scores_of_the_run_come_back_too(run_folder, tmp_path):
    """Both tables, their columns and the sheet are as they were, whatever judged in between, and what an earlier
    refiltering found is not left to the next."""
    run = tmp_path / "scored"
    filters = [{"name": "quality", "side": 16}, "near-duplicate"]
    imaginate.expand(str(tmp_path / "data"), run, "flip-crop", copies=3, filters=filters, progress=False)
    files = ("metadata.parquet", "rejected.parquet", "contact-sheet.png")
    before = [(run / name).read_bytes() for name in files]
    first = _state(run)
    stricter = "quality:sharpness=0.05"
    assert main(["refilter", str(run), "--filter", stricter]) == 0
    once = _state(run)
    assert {r["score_quality"] for r in once[0]} != {r["score_quality"] for r in first[0]}
    assert main(["refilter", str(run), "--filter", "consistency:at_least=0.3", "--guide", "nano", "--reconsider"]) == 0
    assert "score_consistency" in tables.read(Folder(run)).column_names
    assert main(["refilter", str(run), "--filter", stricter]) == 0
    assert "score_consistency" not in tables.read(Folder(run)).column_names
    assert main(["refilter", str(run)]) == 0
    assert _state(run)[2] == first[2]
    assert [(run / name).read_bytes() for name in files] == before


def test_a_dry_run_changes_nothing(run_folder, capsys):
    files = {p: p.read_bytes() for p in run_folder.rglob("*") if p.is_file()}
    assert main(["refilter", str(run_folder), "--filter", "quality", "--dry-run"]) == 0
    assert "6 would be rejected" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in run_folder.rglob("*") if p.is_file()} == files


def test_the_result_is_still_an_image_folder_and_a_dataset(run_folder):
    from torchvision.datasets import ImageFolder

    main(["refilter", str(run_folder), "--filter", "quality"])
    assert len(ImageFolder(run_folder / "images")) == 18
    assert len(imaginate.open_dataset(str(run_folder)).samples) == 18


@pytest.mark.integration
@pytest.mark.parametrize("restoring", [False, True])
def test_killed_anywhere_the_same_command_finishes(run_folder, monkeypatch, restoring):
    monkeypatch.setattr("imaginate.write.sheet.contact_sheet", lambda store: b"")
    command = ["refilter", str(run_folder), *([] if restoring else ["--filter", "quality"])]
    if restoring:
        main(["refilter", str(run_folder), "--filter", "quality"])
    whole = {"put": Folder.put, "move": Folder.move, "writing": Folder.writing}
    for stop in range(1, 40):
        count = 0

        def counted(name: str, stop: int = stop):
            def act(self: Folder, *args: object) -> object:
                nonlocal count
                count += 1
                if count == stop:
                    raise KeyboardInterrupt
                return whole[name](self, *args)

            return act

        for name in whole:
            monkeypatch.setattr(Folder, name, counted(name))
        code = main(command)
        for name, original in whole.items():
            monkeypatch.setattr(Folder, name, original)
        kept, refused, files = _state(run_folder)
        assert {r["file_name"] for r in kept} <= set(files), "the kept table never names a missing file"
        assert len({(r["seed_image"], r["copy"]) for r in kept + refused}) == 6 + 18, "no row is ever lost"
        assert main(command) == 0
        _consistent(run_folder)
        assert len(_state(run_folder)[1]) == (0 if restoring else 6)
        if code == 0:
            break
        main(["refilter", str(run_folder), *(["--filter", "quality"] if restoring else [])])
    assert code == 0
    assert stop > 8, "the loop must really have stopped it at many places"


def test_near_duplicates_across_the_run(run_folder):
    main(
        ["refilter", str(run_folder), "--filter", "near-duplicate:bits=64"] if False else ["refilter", str(run_folder)]
    )
    main(["refilter", str(run_folder), "--filter", "near-duplicate:bits=32,colour=1"])
    kept, refused, _ = _state(run_folder)
    _consistent(run_folder)
    assert {r["reason"] for r in refused} == {"refilter: near-duplicate"}
    assert any(r["method"] for r in kept), "the first of each group stays"


def test_bad_input_is_one_line(tmp_path, run_folder, capsys):
    assert main(["refilter", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert main(["refilter", str(run_folder), "--filter", "qualty"]) == 2
    assert "did you mean 'quality'?" in capsys.readouterr().err
    assert main(["refilter", str(run_folder), "--filter", "consistency"]) == 2
    line = capsys.readouterr().err
    assert "guide" in line
    assert line.count("\n") == 1
    assert main(["refilter", str(run_folder), "--held-out-split", "test"]) == 2


def test_a_guide_that_the_run_did_not_have_can_be_named_now(run_folder, capsys):
    assert main(["refilter", str(run_folder), "--filter", "consistency", "--guide", "nano", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "18 images judged" in shown.out
    assert "18/18" in shown.err, "the bar ends with the number of images"


def test_a_moved_source_is_asked_for(run_folder, tmp_path, capsys):
    (tmp_path / "data").rename(tmp_path / "moved")
    command = ["refilter", str(run_folder), "--filter", "seed-duplicate", "--dry-run"]
    assert main(command) == 0, "the originals in the run serve as seeds"
    assert main([*command, "--data", str(tmp_path / "moved")]) == 0
    assert capsys.readouterr().err.count("imaginate:") == 0


def test_a_missing_image_is_said(run_folder, capsys):
    next((run_folder / "images" / "ant").glob("*-00*.png")).unlink()
    assert main(["refilter", str(run_folder), "--filter", "quality"]) == 2
    assert "1 image is gone" in capsys.readouterr().err


STRICT = '''
from dataclasses import dataclass
from typing import ClassVar, Literal
from imaginate.records import Verdict


@dataclass(frozen=True, kw_only=True)
class Strict:
    """Keeps no image at all."""

    needs: ClassVar[tuple[str, ...]] = ()
    needs_seed: ClassVar[bool] = NEEDS_SEED
    scope: ClassVar[Literal["candidate", "run"]] = "candidate"

    def judge(self, candidates, requests, context):
        return [Verdict(keep=False, reason="strict") for _ in candidates]
'''


@pytest.mark.parametrize("needs_seed", [False, True])
def test_a_new_filter_says_itself_whether_it_needs_the_seed_images(
    run_folder, tmp_path, monkeypatch, capsys, needs_seed
):
    """The source is gone, and the run keeps no originals: a filter that looks at copies alone works all the same."""
    imaginate.expand(str(tmp_path / "data"), tmp_path / "bare", "flip-crop", copies=1, originals="none", progress=False)
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "strict.py").write_text(STRICT.replace("NEEDS_SEED", str(needs_seed)))
    from imaginate import filters

    sys.modules.pop("imaginate.filters.strict", None)
    monkeypatch.setattr(filters, "__path__", [*filters.__path__, str(tmp_path / "more")])
    registry.names.cache_clear()
    try:
        code = main(["refilter", str(tmp_path / "bare"), "--filter", "strict"])
    finally:
        registry.names.cache_clear()
    said = capsys.readouterr()
    assert code == (2 if needs_seed else 0)
    assert ("is not in the source dataset" in said.err) == needs_seed
    assert ("6 rejected" in said.out) == (not needs_seed)
