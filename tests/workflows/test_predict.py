"""`predict`: what a trained classifier says of images, as a table, a file, or copies in class folders."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import imaginate
from imaginate.cli import main
from imaginate.errors import ConfigError, DataError, RunError
from imaginate.training.card import fitted_temperature
from worlds import folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("predict")
    folder(place / "data", classes=("ant", "bee_2"), each=6)
    options = {"arch": "small", "updates": 4, "batch": 4, "progress": False, "device": "cpu"}
    imaginate.train(place / "data", place / "model", **options)
    return place


def test_a_folder_of_labelled_images_is_measured_and_files_say_the_same(place: Path, tmp_path: Path) -> None:
    found = imaginate.predict(place / "model", place / "data", top=2, progress=False)
    assert len(found) == 12
    classifier = imaginate.load_classifier(place / "model", device="cpu")
    said = classifier.predict([place / "data" / name for name in found.images])
    assert [names[0] for names in found.classes] == said
    right = [name.split("/")[0] == own for name, own in zip(found.images, said, strict=True)]
    assert found.accuracy == pytest.approx(sum(right) / 12)
    for name in ("said.csv", "said.jsonl", "said.parquet"):
        assert (
            main(["predict", str(place / "model"), str(place / "data"), "--out", str(tmp_path / name), "--quiet"]) == 0
        )
    with (tmp_path / "said.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == said
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert lines == pq.read_table(tmp_path / "said.parquet").to_pylist()
    assert lines[0].keys() == {"image", "label", "class", "probability"}
    assert "12 images" in repr(found)


def test_copies_are_sorted_under_their_classes_and_bad_files_are_counted(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = tmp_path / "flat"
    (flat / "trip").mkdir(parents=True)
    for i, source in enumerate(sorted((place / "data").glob("*/*.png"))[:4]):
        (flat / ("trip" if i % 2 else ".") / "same.png" if i < 2 else flat / f"{i}.png").write_bytes(
            source.read_bytes()
        )
    (flat / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    assert main(["predict", str(place / "model"), str(flat), "--out", str(tmp_path / "sorted"), "--quiet"]) == 0
    copies = list((tmp_path / "sorted").glob("*/*.png"))
    assert len(copies) == 4
    assert {copy.parent.name for copy in copies} <= {"ant", "bee_2"}
    said = capsys.readouterr().out
    assert "skipped broken.jpg:" in said
    assert "right:" not in said
    assert main(["predict", str(place / "model"), str(flat), "--out", str(tmp_path / "sorted"), "--quiet"]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_one_file_a_dataset_and_a_run_are_read(place: Path, tmp_path: Path) -> None:
    one = sorted((place / "data").glob("*/*.png"))[0]
    assert len(imaginate.predict(place / "model", one, progress=False)) == 1
    assert len(imaginate.predict(place / "model", [one, one], progress=False)) == 2
    run = imaginate.expand(place / "data", tmp_path / "run", "cutout", copies=1, progress=False)
    found = imaginate.predict(place / "model", tmp_path / "run", progress=False)
    assert len(found) == run.kept + run.originals
    assert found.accuracy is not None


def test_what_cannot_be_used_is_one_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no usable image in"):
        imaginate.predict(place / "model", tmp_path / "empty", progress=False)
    with pytest.raises(RunError, match="holds no finished classifier"):
        imaginate.predict(tmp_path / "empty", place / "data", progress=False)
    found = imaginate.predict(place / "model", place / "data", progress=False)
    with pytest.raises(DataError, match=r"\.csv, \.jsonl, \.parquet, or into a folder, not as \.xls"):
        imaginate.workflows.predict.write_predictions(found, tmp_path / "said.xls")


def test_the_folder_has_a_card_and_its_temperature_scales_probabilities(place: Path) -> None:
    card = (place / "model" / "README.md").read_text()
    assert "1. bee\\_2" in card
    assert "was not measured on held-out images" in card
    classifier = imaginate.load_classifier(place / "model", device="cpu")
    paths = sorted((place / "data").glob("*/*.png"))
    flat = imaginate.Classifier(**{**vars(classifier), "temperature": 1e6}).probabilities(paths)
    assert torch.allclose(flat, torch.full_like(flat, 0.5), atol=1e-3)


def test_the_temperature_undoes_a_factor_of_the_logits() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 1.5, (4000, 5))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([draw.choice(5, p=row) for row in chances])
    for factor in (0.2, 1.0, 7.0):
        assert fitted_temperature((factor * logits).astype(np.float32), labels) == pytest.approx(factor, rel=0.1)
    assert fitted_temperature(logits[:10].astype(np.float32), labels[:10]) == 1.0


def test_copies_that_a_killed_process_left_are_finished(tmp_path: Path) -> None:
    from imaginate.ownership import own
    from imaginate.workflows.predict import COMMAND, Predictions, write_predictions

    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    found = Predictions(
        images=("a.png", "b.png"), classes=(("x",), ("y",)), probabilities=((1.0,), (1.0,)), skipped={},
        paths=(str(tmp_path / "a.png"), str(tmp_path / "b.png")),
    )  # fmt: skip
    write_predictions(found, tmp_path / "whole")
    want = {str(p.relative_to(tmp_path / "whole")): p.read_bytes() for p in (tmp_path / "whole").rglob("*.png")}
    assert len(want) == 2
    what = content_of(found)
    with pytest.raises(KeyboardInterrupt), own(tmp_path / "out", COMMAND, what={"images": what}) as owned:  # noqa: PT012
        owned.store.put(next(iter(want)), b"half")
        raise KeyboardInterrupt
    write_predictions(found, tmp_path / "out")
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*.png")} == want
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["x", "y"]


def content_of(found: Any) -> str:
    from imaginate.files import content_hash

    return content_hash("\n".join(found.images).encode(), size=8)


def test_names_that_are_no_text_are_written_as_they_are_shown(place: Path, tmp_path: Path) -> None:
    other = os.fsencode(folder(tmp_path / "more", classes=("ant", "bee_2"), each=1))
    os.rename(other + b"/ant/000.png", other + b"/ant/\xff.png")
    for name in ("said.csv", "said.jsonl", "said.parquet"):
        said = ["predict", str(place / "model"), str(tmp_path / "more"), "--out", str(tmp_path / name), "--quiet"]
        assert main(said) == 0
    assert pq.read_table(tmp_path / "said.parquet")["image"].to_pylist() == ["ant/\\xff.png", "bee_2/000.png"]
    assert '"ant/\\xff.png","ant"' in (tmp_path / "said.csv").read_text()
    one = imaginate.predict(place / "model", [os.fsdecode(other + b"/ant/\xff.png")], progress=False)
    assert one.table()["image"].to_pylist()[0].endswith("ant/\\xff.png")


def test_the_labels_of_a_folder_with_splits_are_compared(place: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        folder(tmp_path / "splits" / split, classes=("ant", "bee_2"), each=2)
    found = imaginate.predict(place / "model", tmp_path / "splits", progress=False)
    assert len(found) == 8
    assert found.known == tuple(name.split("/")[1] for name in found.images)


def test_deep_images_are_read_as_the_images_of_the_training_were(tmp_path: Path) -> None:
    """A folder, a file, an archive and a list of files say the same, also where they hold the dark images alone."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 8), ("new", 4)):
        for name, (low, high) in {"dim": (40, 240), "bright": (2000, 4000)}.items():
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                values = low + np.kron(draw.random((4, 4)), np.ones((8, 8))) * (high - low)
                Image.fromarray(values.astype(np.uint16)).save(tmp_path / part / name / f"{number}.png")
    shutil.make_archive(str(tmp_path / "dim"), "zip", tmp_path / "new", base_dir="dim")
    options = {"arch": "small", "updates": 12, "batch": 8, "progress": False, "device": "cpu", "validation": 0.0}
    held_out = {"held_out": str(tmp_path / "only")}
    shutil.copytree(tmp_path / "new" / "dim", tmp_path / "only" / "dim")
    imaginate.train(tmp_path / "train", tmp_path / "model", **options, **held_out)
    found = imaginate.predict(tmp_path / "model", tmp_path / "new", progress=False)
    says = {name: classes[0] for name, classes in zip(found.images, found.classes, strict=True)}
    classifier = imaginate.load_classifier(tmp_path / "model", device="cpu")
    assert classifier.rendering is not None
    assert [str(window) for window in classifier.rendering.windows] == ["0..4095"]
    data = imaginate.open_dataset(str(tmp_path / "new"))
    probabilities = classifier.probabilities([data.image(n) for n in range(len(data))])
    assert [row[0] for row in found.probabilities] == pytest.approx(probabilities.max(dim=1).values.tolist())
    dim = imaginate.predict(tmp_path / "model", tmp_path / "dim.zip", progress=False)
    assert {name: classes[0] for name, classes in zip(dim.images, dim.classes, strict=True)} == {
        name: said for name, said in says.items() if name.startswith("dim")
    }
    one = imaginate.predict(tmp_path / "model", tmp_path / "new/dim/0.png", progress=False)
    assert one.probabilities[0] == pytest.approx(found.probabilities[found.images.index("dim/0.png")])
    assert classifier.predict([tmp_path / "new/dim/0.png"]) == [says["dim/0.png"]]
    result = json.loads((tmp_path / "model" / "classifier.json").read_text())
    right = sum(says[f"dim/{n}.png"] == "dim" for n in range(4))
    assert result["held_out"]["top1"] == right / 4  # in the range of the training images, not in its own


def test_what_is_no_table_of_predictions_is_not_written_over(place: Path, tmp_path: Path) -> None:
    first = sorted((place / "data").glob("*/*.png"))[0]
    for name, content in {"a.csv": "path,label\nx,y\n", "a.jsonl": '{"a": 1}\n', "a.parquet": "PAR1"}.items():
        (tmp_path / name).write_text(content)
        command = ["predict", str(place / "model"), str(first), "--quiet", "--out"]
        assert main([*command, str(tmp_path / name)]) == 2
        assert (tmp_path / name).read_text() == content
        (tmp_path / name).unlink()
        assert main([*command, str(tmp_path / name)]) == main([*command, str(tmp_path / name)]) == 0


def test_a_number_of_classes_below_one_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match="top must be at least 1, got 0"):
        imaginate.predict(place / "model", place / "data", top=0, progress=False)
