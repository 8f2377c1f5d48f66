"""Results are small objects: a line as repr, HTML in a notebook, a data frame; an unfinished run is looked into."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

import imaginate
from imaginate.cli import main
from imaginate.engine.shard import ShardWorker
from worlds import folder, named

NAMES = ("ant", "<script>alert(1)</script>")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, one of them with a hostile name."""
    return named(tmp_path_factory.mktemp("results"), NAMES, each=3)


def test_every_result_has_a_line_a_page_and_a_frame(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    dataset = imaginate.open_dataset(str(data))
    image, label = dataset[0]
    assert (image.shape, label) == ((3, 24, 32), dataset.samples[0].label)
    assert "6 images, 2 classes" in repr(dataset)
    assert len([pair for pair in dataset]) == 6  # noqa: C416 - by index, until IndexError
    forecast = imaginate.plan(str(data), "cutout", copies=2)
    run = imaginate.expand(str(data), str(tmp_path / "run"), "cutout", copies=2, progress=False)
    found = imaginate.inspect(tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' own
        frames = {"plan": forecast.to_pandas(), "run": run.to_pandas(), "inspect": found.to_pandas()}
        assert len(dataset.to_pandas()) == 6
    assert frames["plan"]["new"].sum() == 12
    assert len(frames["run"]) == len(frames["inspect"]) == 18
    for result in (forecast, run, found):
        assert "\n" not in repr(result)
        html = result._repr_html_()
        assert "<script>" not in html
        assert html.count("<pre>") == 1


def test_an_unfinished_run_is_inspected(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, out = ShardWorker.make, str(tmp_path / "run")

    def stopped(self: ShardWorker, number: int) -> dict[str, object]:
        if number == 2:
            raise KeyboardInterrupt
        return make(self, number)

    monkeypatch.setattr(ShardWorker, "make", stopped)
    with pytest.raises(KeyboardInterrupt):
        imaginate.expand(str(data), out, "cutout", copies=2, shard=4, progress=False)
    assert main(["inspect", out, "--sheet", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 12 images so far: 2 of 3 shards are finished; the run's own command goes on" in said
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert imaginate.inspect(out).kept.num_rows == 12


def test_the_notebook_of_the_examples_is_whole() -> None:
    place = Path(__file__).parents[2] / "examples" / "first_hour.ipynb"
    book = json.loads(place.read_text(encoding="utf-8"))
    assert book["nbformat"] == 4
    assert not any(cell.get("outputs") for cell in book["cells"])


@pytest.mark.integration
def test_the_notebook_runs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(__file__).parents[2] / "examples" / "first_hour.ipynb"
    book = json.loads(place.read_text(encoding="utf-8"))
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "pictures" / "train", ("ant", "bee", "cow"), each=6)
    folder(tmp_path / "pictures" / "test", ("ant", "bee", "cow"), each=4, size=28)
    names: dict[str, object] = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    assert (tmp_path / "pictures-x3" / "metadata.parquet").exists()
    assert (tmp_path / "model" / "weights.safetensors").exists()
