"""Results are small objects: a line as repr, HTML in a notebook, a data frame; an unfinished run is looked into."""

from __future__ import annotations

import ast
import copy
import importlib
import json
import os
import pickle
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.engine.recipe import Roles
from imaginate.engine.shard import ShardWorker
from imaginate.models.adaptations.folder import Manifest, read_manifest
from imaginate.settings import build
from imaginate.training.portable import ExportedModel
from imaginate.workflows.fit import Fitted
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


def test_what_export_and_report_wrote_is_shown_and_stays_what_it_was(data: Path, tmp_path: Path) -> None:
    """A count and a list of paths, as before, that say more: what was written, and where."""
    pytest.importorskip("pandas")
    run = imaginate.expand(str(data), str(tmp_path / "run"), "cutout", copies=2, progress=False)
    written = imaginate.export(tmp_path / "run", tmp_path / "csv", "csv")
    assert written == 18
    assert f"{written}" == "18"
    assert copy.copy(pickle.loads(pickle.dumps(written))).path == written.path == str(tmp_path / "csv")
    assert repr(written) == f"Exported({str(tmp_path / 'csv')!r}, 18 images as csv)"
    assert written.classes == dict.fromkeys(NAMES, 9)
    report = imaginate.report(tmp_path / "run", formats=("html", "csv"))
    assert report == [tmp_path / "run" / "report.html", tmp_path / "run" / "report.csv"]
    assert report.page == report[0]
    assert repr(report) == f"WrittenReport({str(tmp_path / 'run')!r}: report.html, report.csv)"
    assert imaginate.report(run.path, out=tmp_path / "out", formats=["csv"]).page is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' own
        assert written.to_pandas()["images"].tolist() == [9, 9]
        assert report.to_pandas()["kept"].tolist() == [12]
    for result in (written, report):
        html = result._repr_html_()
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_a_fit_and_an_exported_model_are_paths_that_say_what_they_are(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "fit" / "samples").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "fit" / "samples" / "epoch-01.png")
    history = [{"epoch": 0, "validation_loss": 0.5}, {"epoch": 1, "train_loss": 0.4, "validation_loss": 0.25}]
    manifest = Manifest(
        technique="dreambooth", family="sd", prior="nano", fingerprint={}, classes=list(NAMES), settings={},
        data={"images": 6}, chosen="epoch-01", chosen_by="loss", checkpoints={"best": "epoch-01"}, history=history,
    )  # fmt: skip
    fitted = Fitted.of(manifest, tmp_path / "fit")
    assert os.fspath(fitted) == str(tmp_path / "fit")
    assert (fitted.technique, fitted.chosen, fitted.history) == ("dreambooth", "epoch-01", history)
    assert repr(fitted) == f"Fitted('dreambooth', {str(tmp_path / 'fit')!r}, checkpoint epoch-01)"
    assert "validation loss 0.5000 before, 0.2500 at epoch-01" in str(fitted)
    assert "data:image/png" in fitted._repr_html_()
    assert build(Roles, {"adaptation": fitted}).adaptation == str(tmp_path / "fit")
    fitted.write(tmp_path / "fit")
    assert read_manifest(tmp_path / "fit") == manifest
    (tmp_path / "fit" / "samples" / "epoch-01.png").unlink()
    assert "<table>" in fitted._repr_html_()
    model = ExportedModel(path=tmp_path / "onnx", format="onnx", classes=NAMES, image_size=64)
    assert model / "model.onnx" == tmp_path / "onnx" / "model.onnx"
    assert os.fspath(model) == str(model) == str(tmp_path / "onnx")
    assert "2 classes" in repr(model)
    assert "<script>" not in model._repr_html_()
    assert "&lt;script&gt;" in model._repr_html_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' own
        assert fitted.to_pandas()["validation_loss"].tolist() == [0.5, 0.25]
        assert model.to_pandas()["class"].tolist() == list(NAMES)


def test_every_function_returns_an_object_with_a_page() -> None:
    """What a notebook shows of each command. Only what gives nothing, a count, one picture, a recipe, a network or a
    list of such objects has none."""
    plain = {"review", "export_decisions", "recipe_from", "load", "load_classifier", "search_pool_batch"}
    homes = imaginate._HOMES
    for name in (n for n in imaginate.__all__ if n in homes and n.islower() and n not in plain):
        function = getattr(imaginate, name)
        module = importlib.import_module(function.__module__)
        known = {**vars(module), **_imported_for_types(module)}
        result = known[str(function.__annotations__["return"])]
        assert {"__repr__", "_repr_html_"} <= {key for kind in result.__mro__[:-1] for key in vars(kind)}, name


def _imported_for_types(module: ModuleType) -> dict[str, Any]:
    """What a module imports under TYPE_CHECKING."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imaginate"):
            found |= {a.name: getattr(importlib.import_module(str(node.module)), a.name, None) for a in node.names}
    return found


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
