"""Class names of MedMNIST, whose files hold numbers alone: recognised by name, number of classes and size of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from data import zoo
from imaginate.data import Dataset, open_dataset
from imaginate.data.class_yaml import read_yaml
from imaginate.data.shipped_classes import FOLDER, names
from imaginate.engine.resolve import recipe_from
from imaginate.errors import DataError
from imaginate.prompts.guided import ADJECTIVES, DOMAINS

RECIPES = Path(__file__).parents[2] / "examples/recipes"
COUNTS = {
    "pathmnist": 9, "chestmnist": 14, "dermamnist": 7, "octmnist": 4, "pneumoniamnist": 2, "retinamnist": 5,
    "breastmnist": 2, "bloodmnist": 8, "tissuemnist": 8, "organamnist": 11, "organcmnist": 11, "organsmnist": 11,
}  # fmt: skip


def npz(path: Path, classes: int, size: int = 28) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (classes * 2, size, size), dtype=np.uint8)
    labels = np.arange(classes).repeat(2)[:, None].astype(np.uint8)
    np.savez_compressed(path, train_images=images, train_labels=labels)
    return open_dataset(path)


def test_every_flat_set_has_its_names() -> None:
    assert set(names()) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_set_is_recognised_and_said(name: str, tmp_path: Path) -> None:
    data = npz(tmp_path / f"{name}.npz", COUNTS[name])
    assert all(any(letter.isalpha() for letter in info.title) and info.domain.endswith(" of") for info in data.labels)
    assert len(set(data.labels.titles)) == COUNTS[name]
    assert [note for note in data.notes if "codes" in note] == []
    assert any(note.startswith(f"class names of {name}, of imaginate's own class file (0: ") for note in data.notes)


def test_the_official_names() -> None:
    organs = ("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver", "lung-left")
    found = read_yaml(str(FOLDER / "organsmnist.yaml"))["classes"]
    assert tuple(found.values()) == (*organs, "lung-right", "pancreas", "spleen")
    assert read_yaml(str(FOLDER / "breastmnist.yaml"))["classes"] == {"0": "malignant", "1": "normal, benign"}


@pytest.mark.parametrize(
    ("file", "classes", "size"),
    [
        ("breastmnist_224", 2, 224),
        ("BreastMNIST-64", 2, 64),
        ("breastmnist", 3, 28),
        ("breastmnist", 2, 30),
        ("breast", 2, 28),
    ],
)
def test_another_set_keeps_its_numbers(file: str, classes: int, size: int, tmp_path: Path) -> None:
    data = npz(tmp_path / f"{file}.npz", classes, size)
    is_breast = size in (64, 224)
    assert (data.labels.titles == ("malignant", "normal, benign")) is is_breast
    assert any("look like codes" in note for note in data.notes) is not is_breast


def test_ones_own_words_win(tmp_path: Path) -> None:
    (tmp_path / "breastmnist.classes.yaml").write_text('"1": healthy\n')
    assert npz(tmp_path / "breastmnist.npz", 2).labels.titles == ("malignant", "healthy")


def test_a_file_is_named_for_a_set_of_another_name(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "mine", {"0": 2, "1": 2})
    data = open_dataset(tmp_path / "mine", classes_file="breastmnist")
    assert data.labels.titles == ("malignant", "normal, benign")
    with pytest.raises(DataError, match="cannot read brestmnist"):
        open_dataset(tmp_path / "mine", classes_file="brestmnist")


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*mnist.yaml")), ids=lambda file: file.stem)
def test_the_recipes_name_them(file: Path) -> None:
    values = yaml.safe_load(file.read_text())
    assert values["data"] == {"classes_file": file.stem.split("-")[-1]}
    assert values["data"]["classes_file"] in COUNTS
    data = {"path": "x", **values["data"]}
    assert recipe_from({**values, "data": data}).data.classes_file == data["classes_file"]


def test_no_word_of_the_medical_sets_colours_a_grey_image() -> None:
    words = (*ADJECTIVES["medical"], *DOMAINS["medical"], *DOMAINS["ultrasound"], *DOMAINS["ct"])
    assert not [word for word in words if "color" in word or "colour" in word or "styl" in word]
