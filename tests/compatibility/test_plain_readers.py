"""What plain readers make of a run, after every command that writes in it: `datasets` and torchvision's ImageFolder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from imaginate.cli import main
from imaginate.runs import RunFolder
from worlds import picture, png

CLASSES = ("apple", "dev board", "field-test", "my.eval", "test", "train", "val 2")  # most of them are words for splits
FILES = ("val_0", "test-1", "train.2", "3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plain") / "data"
    for split in range(2):
        for label, name in enumerate(CLASSES):
            for number, file in enumerate(FILES):
                path = root / ("train", "test")[split] / name / f"{file}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(picture(split * 100 + label * 10 + number)))
    return root


def check(run: Path, cache: Path) -> None:
    """Both readers find every kept image, in one split, with the label of the run's table."""
    datasets = pytest.importorskip("datasets")
    torchvision = pytest.importorskip("torchvision")
    rows = RunFolder(run).rows()
    loaded = datasets.load_dataset("imagefolder", data_dir=str(run), cache_dir=str(cache))
    assert {name: part.num_rows for name, part in loaded.items()} == {"train": len(rows)}
    assert sorted(loaded["train"]["label"]) == sorted(row["label"] for row in rows)
    assert sorted(loaded["train"]["class_name"]) == sorted(row["class_name"] for row in rows)
    counted = torchvision.datasets.ImageFolder(run / "images")
    by_file = {str(Path(path).relative_to(run)): label for path, label in counted.samples}
    assert by_file == {row["file_name"]: row["label"] for row in rows}


@pytest.mark.integration
def test_a_run_is_read_rightly_after_every_command(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    expand = ["expand", str(data), str(run), "--method", "flip-crop", "--layout", "splits", "--quiet", "--copies", "2"]
    removed = "images/test~/3-*.png"
    steps: Sequence[tuple[str, list[str]]] = [
        ("expand", expand),
        ("evaluate", ["evaluate", str(run), "--against", str(data), "--features", "nano", "--quiet"]),
        ("inspect", ["inspect", str(run), "--sheet", str(run / "sheet.png")]),
        ("report", ["report", str(run), "--format", "html,csv,markdown,latex,json"]),
        ("refilter", ["refilter", str(run), "--filter", "quality:sharpness=0.05"]),
        ("restore", [*expand, "--restore"]),
        ("accept", ["refilter", str(run), "--filter", "quality:sharpness=0.05", "--accept-removed"]),
        ("report", ["report", str(run)]),
    ]
    for number, (name, command) in enumerate(steps):
        if name in ("restore", "accept"):
            gone = sorted(run.glob(removed))[-1]
            gone.unlink()
        assert main(command) == 0, name
        check(run, tmp_path / f"cache{number}")


@pytest.mark.integration
def test_metrics_of_an_earlier_version_are_shown_and_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["expand", str(data), str(run), "--method", "flip-crop", "--copies", "1", "--quiet"]) == 0
    evaluate = ["evaluate", str(run), "--against", str(data), "--features", "nano", "--quiet"]
    assert main(evaluate) == 0
    (run / "metrics.json").rename(run / "evaluation.json")
    assert main(["report", str(run)]) == 0
    assert "Metrics of the images" in (run / "report.html").read_text()
    capsys.readouterr()
    assert main(evaluate) == 0
    assert "datasets reads it as a split; remove it" in capsys.readouterr().out
