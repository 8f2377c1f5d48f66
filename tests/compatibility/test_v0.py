"""What version 0.1.0 wrote is read as before: runs, a pool, an adaptation, a classifier and a study (in v0.zip).

The commands that made them, in the folder of the zip:

    imaginate expand data run-randaugment --split train --method randaugment --copies 1
    imaginate expand data run-mixup --split train --method mixup --copies 1
    imaginate expand run-randaugment run-of-run --method cutout --copies 1
    imaginate expand data run-gif --split train --method gif-mae --prior nano --guide nano --copies 2 \
        --filter consistency --filter entropy-gain --select informative
    imaginate expand data run-unfinished --split train --method randaugment --copies 1 --shard 1 --batch 1    # killed
    imaginate pool build pool data --split train --guide nano
    imaginate fit ft-conditioning data adaptation --split train --prior nano --epochs 1
    imaginate train data --out classifier --split train --validation 0.2 --held-out data --held-out-split test ...
    imaginate compare data --arm original --arm run:run-randaugment --out study --held-out data ...
"""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imaginate import load, open_dataset
from imaginate.cli import main

RUNS = {"run-randaugment": 12, "run-mixup": 12, "run-of-run": 24, "run-gif": 12}  # kept images, originals included
EXPAND = ("expand", "data", "--split", "train", "--copies", "1")
Say = Callable[..., str]


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the zip; tests get copies."""
    root = tmp_path_factory.mktemp("compatibility")
    with zipfile.ZipFile(Path(__file__).with_name("v0.zip")) as archive:
        archive.extractall(root)
    return root / "v0"


@pytest.fixture
def old(zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the old version wrote, as the current folder: recipes name their data by relative paths."""
    shutil.copytree(zipped, tmp_path / "v0", copy_function=shutil.copy2)
    monkeypatch.chdir(tmp_path / "v0")
    return tmp_path / "v0"


@pytest.fixture
def say(old: Path, capfd: pytest.CaptureFixture[str]) -> Say:
    """Runs one command, which must succeed; returns what it printed."""

    def command(*words: str) -> str:
        capfd.readouterr()
        code = main(list(words))
        out, err = capfd.readouterr()
        assert code == 0, err
        return out + err

    return command


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder but empty ones (locks)."""
    files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {name: data for name, data in files.items() if data}


def images(run: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(run).items() if name.startswith("images/")}


def same_encoder(run: Path) -> bool:
    """Whether the library that encodes images is the one that wrote the run: other versions pack the same pixels
    into other bytes."""
    import PIL

    wrote = json.loads((run / "run.json").read_text())["versions"]
    return bool(wrote["pillow"] == PIL.__version__)


@pytest.mark.parametrize("name", RUNS)
def test_runs_are_datasets_are_inspected_and_exported(name: str, old: Path, say: Say) -> None:
    data = open_dataset(name)
    assert (data.format, len(data), data.labels.names) == ("run", RUNS[name], ("coins", "moon"))
    assert all(load(sample).shape[0] == 3 for sample in data.samples)
    assert {sample.meta["origin"] for sample in data.samples} == {"original", "synthetic"}
    text = say("inspect", name)
    assert "coins" in text
    assert f"{RUNS[name] // 2}" in text
    say("export", name, "exported", "--format", "csv")
    assert len((old / "exported/manifest.csv").read_text(encoding="utf-8").splitlines()) == 1 + RUNS[name]


@pytest.mark.parametrize("name", ["run-gif", "study"])
def test_reports(name: str, old: Path, say: Say) -> None:
    say("report", name, "--out", "pages")
    page = (old / "pages/report.html").read_text(encoding="utf-8")
    assert "coins" in page


def test_refilter_judges_again(old: Path, say: Say) -> None:
    before = contents(old / "run-mixup")
    assert "6 images judged" in say("refilter", "run-mixup", "--dry-run", "--filter", "near-duplicate")
    assert contents(old / "run-mixup") == before


def test_the_pool_is_described(say: Say) -> None:
    text = say("pool", "info", "pool")
    assert "nano" in text
    assert "unfinished    nothing" in text


def without_text(png: bytes) -> bytes:
    """A PNG without its text chunks."""
    kept, place = png[:8], 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kept += b"" if png[place + 4 : place + 8] == b"iTXt" else png[place:end]
        place = end
    return kept


@pytest.mark.parametrize("method", ["randaugment", "mixup"])
def test_the_same_command_makes_the_same_images(method: str, old: Path, say: Say) -> None:
    say(*EXPAND, "new", "--method", method)
    now, then = images(old / "new"), images(old / f"run-{method}")
    assert now.keys() == then.keys()
    if same_encoder(old / f"run-{method}"):
        assert {name: without_text(data) for name, data in now.items()} == then, "the mark of what made it is new"
    for a, b in zip(open_dataset("new").samples, open_dataset(f"run-{method}").samples, strict=True):
        assert (a.id, a.label, a.soft_label, a.meta) == (b.id, b.label, b.soft_label, b.meta)
        assert load(a).equal(load(b))


def test_an_unfinished_run_is_finished_by_the_same_command(old: Path, say: Say) -> None:
    before = images(old / "run-unfinished")
    assert 0 < len(before) < 12
    text = say(*EXPAND, "run-unfinished", "--method", "randaugment", "--shard", "1", "--batch", "1")
    assert "6 new images, 6 originals" in text
    after = images(old / "run-unfinished")
    assert {name: after[name] for name in before} == before
    if same_encoder(old / "run-randaugment"):
        assert after == images(old / "run-randaugment")
    assert len(open_dataset("run-unfinished")) == 12


def test_a_run_is_not_changed_by_its_own_command(old: Path, say: Say) -> None:
    before = contents(old / "run-randaugment")
    say(*EXPAND, "run-randaugment", "--method", "randaugment")
    after = contents(old / "run-randaugment")
    assert {name for name in before if before[name] != after[name]} <= {"run.json", "README.md", "contact-sheet.png"}
    assert after.keys() == before.keys()


TRAIN = (
    "train", "data", "--out", "classifier", "--split", "train", "--validation", "0.2", "--held-out", "data",
    "--held-out-split", "test", "--arch", "small", "--updates", "3", "--batch", "4",
)  # fmt: skip
COMPARE = (
    "compare", "data", "--arm", "original", "--arm", "run:run-randaugment", "--out", "study", "--split", "train",
    "--held-out", "data", "--held-out-split", "test", "--arch", "small", "--image-size", "16", "--seeds", "2",
    "--updates", "2", "--batch", "4", "--clip", "nano", "--precision", "float32",
)  # fmt: skip


def test_a_trained_classifier_is_returned(old: Path, say: Say) -> None:
    before = contents(old / "classifier")
    assert "finished before, nothing to train" in say(*TRAIN)
    after = contents(old / "classifier")
    assert {name: after[name] for name in before} == before


def is_close(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers within rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def test_a_finished_study_is_put_together_without_training(old: Path, say: Say) -> None:
    before, results = contents(old / "study/arms"), json.loads((old / "study/results.json").read_text())
    say(*COMPARE)
    assert contents(old / "study/arms") == before
    again = json.loads((old / "study/results.json").read_text())
    assert again.keys() >= results.keys()
    for now, then in zip(again["arms"], results["arms"], strict=True):
        for key in then.keys() - {"difference", "per_class"}:
            assert is_close(now[key], then[key]), key
        for key in ("held_out", "accuracy", "change"):
            assert is_close([row[key] for row in now["per_class"]], [row[key] for row in then["per_class"]])
    gaps = [found["arms"][1]["difference"]["top1"] for found in (again, results)]
    assert gaps[0]["mean"] == pytest.approx(gaps[1]["mean"])
    assert -1 <= gaps[0]["low"] <= gaps[0]["high"] <= 1 < gaps[1]["high"]
    assert not {"original@0.5", "duplicate"} & {arm["name"] for arm in again["arms"]}


@pytest.mark.integration
def test_a_study_goes_on_with_more_arms(old: Path, say: Say) -> None:
    before = contents(old / "study/arms")
    say(*COMPARE, "--arm", "run:run-mixup")
    after = contents(old / "study/arms")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after} == {"original", "run-randaugment", "run-mixup"}


@pytest.mark.integration
def test_refilter_with_a_guide(say: Say) -> None:
    text = say("refilter", "run-gif", "--dry-run", "--filter", "consistency:anchor=seed")
    assert "0 would be rejected, 0 would be restored" in text


@pytest.mark.integration
def test_the_pool_is_searched_and_used(old: Path, say: Say) -> None:
    lines = say("pool", "search", "pool", "the surface of the moon").splitlines()
    assert sum("train/" in line for line in lines) == 6
    say("expand", "data", "retrieved", "--split", "train", "--method", "retrieval", "--pool", "pool", "--guide", "nano",
        "--per-class", "1", "--duplicate-cosine", "1.01", "--duplicate-bits", "0")  # fmt: skip
    assert [row["label"] for row in rows(old / "retrieved") if row["origin"] == "retrieved"] == [0, 1]


def rows(run: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(run / "metadata.parquet").to_pylist()
    return found


USE = ("expand", "data", "new", "--split", "train", "--method", "ft-conditioning", "--prior", "nano", "--adaptation",
       "adaptation", "--copies", "1", "--steps", "4")  # fmt: skip


@pytest.mark.integration
def test_the_adaptation_of_an_earlier_bundled_prior_is_refused(old: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = contents(old / "adaptation")
    assert main(list(USE)) == 2
    assert "adaptation was made for the prior nano, nano has other weights: fit it again" in capfd.readouterr().err
    assert contents(old / "adaptation") == before


@pytest.mark.integration
def test_the_adaptation_is_used(old: Path, say: Say) -> None:
    """Its files are read as they were written; the bundled prior has other weights today, so its own are named."""
    from imaginate.models.adaptations.folder import fingerprint
    from imaginate.models.priors.stable_diffusion import StableDiffusion

    file = old / "adaptation" / "adaptation.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["fingerprint"] = fingerprint(StableDiffusion.load("nano"))
    file.write_text(json.dumps(facts), encoding="utf-8")
    before = contents(old / "adaptation")
    say(*USE)
    assert sum(row["origin"] == "synthetic" for row in rows(old / "new")) == 6
    assert contents(old / "adaptation") == before


@pytest.mark.integration
def test_a_run_is_evaluated(old: Path, say: Say) -> None:
    assert "leaks: 0 new images" in say(
        "evaluate", "run-mixup", "--against", "data", "--split", "test", "--out", "e.json"
    )
