"""A classifier that was trained is loaded and says what training said of the same images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import imaginate
from imaginate.errors import RunError
from worlds import folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trained")
    folder(place / "data", classes=("ant", "bee"), each=5)
    options = {"arch": "small", "updates": 4, "batch": 4, "progress": False, "device": "cpu"}
    result = imaginate.train(place / "data", place / "model", held_out=str(place / "data"), allow_leak=True, **options)
    (place / "top1").write_text(str(result["held_out"]["top1"]))
    return place


def test_it_says_what_training_measured(trained: Path) -> None:
    classifier = imaginate.load_classifier(trained / "model", device="cpu")
    data = imaginate.open_dataset(trained / "data")
    said = classifier.predict([imaginate.load(sample) for sample in data.samples])
    right = [name == data.labels.names[sample.label] for name, sample in zip(said, data.samples, strict=True)]
    assert sum(right) / len(right) == pytest.approx(float((trained / "top1").read_text()))


def test_paths_and_pixels_of_any_number_give_the_same_probabilities(trained: Path) -> None:
    classifier = imaginate.load_classifier(trained / "model", device="cpu")
    data = imaginate.open_dataset(trained / "data")
    paths = [trained / "data" / sample.id for sample in data.samples]
    found = classifier.probabilities(paths)
    assert found.shape == (10, 2)
    assert torch.allclose(found.sum(dim=1), torch.ones(10))
    alone = torch.cat([classifier.probabilities([imaginate.load(sample)]) for sample in data.samples])
    assert torch.allclose(found, alone, atol=1e-5)
    assert classifier.probabilities([]).shape == (0, 2)
    assert "2 classes" in repr(classifier)


def test_another_folder_is_refused_in_one_line(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no finished classifier"):
        imaginate.load_classifier(trained / "data")
    with pytest.raises(RunError, match="from a folder of this machine"):
        imaginate.load_classifier("hf://org/name")
    shutil.copytree(trained / "model", tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(imaginate.ModelError, match="does not fit"):
        imaginate.load_classifier(tmp_path / "model")
