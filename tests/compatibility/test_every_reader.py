"""A run and its exports in the readers that their users have: the same classes, labels and counts in all of them.

Readers that are not installed are skipped; `pip install keras grain fastai ultralytics timm webdataset` brings all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import imaginate
from imaginate.runs import RunFolder
from worlds import folder

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # of the readers
]
CLASSES = ("10", "2", "Cat", "apple", "dev-board", "test", "train", "validation set")
EACH = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("readers")
    folder(root / "data", CLASSES, each=EACH)
    imaginate.expand(root / "data", root / "run", method="flip-crop", copies=1, layout="classes")
    for form in ("webdataset", "parquet"):
        imaginate.export(str(root / "run"), str(root / form), form, per_file=20)
    return root


def wanted(made: Path) -> Counter[tuple[str, int]]:
    """(class name, label) of every image, as the run's own table has them."""
    rows = RunFolder(made / "run").rows()
    found = Counter((str(row["class_name"]), int(row["label"])) for row in rows)
    assert found == {(name, label): 2 * EACH for label, name in enumerate(CLASSES)}
    return found


def by_folder(made: Path, pairs: Sequence[tuple[str, int]]) -> Counter[tuple[str, int]]:
    """(class name, label) of (folder, label), by the folder that the run gave to each class."""
    rows = RunFolder(made / "run").rows()
    names = {str(row["file_name"]).split("/")[1]: str(row["class_name"]) for row in rows}
    return Counter((names[folder], label) for folder, label in pairs)


def torchvision_folder(made: Path) -> Counter[tuple[str, int]]:
    datasets = pytest.importorskip("torchvision").datasets
    data = datasets.ImageFolder(made / "run" / "images")
    return by_folder(made, [(data.classes[label], label) for _, label in data.samples])


def fastai_folder(made: Path) -> Counter[tuple[str, int]]:
    vision = pytest.importorskip("fastai.vision.all")
    files = vision.get_image_files(made / "run" / "images")
    data = vision.Datasets(files, [[vision.PILImage.create], [vision.parent_label, vision.Categorize()]])
    return by_folder(made, [(data.vocab[int(y)], int(y)) for _, y in data])


def keras_folder(made: Path) -> Counter[tuple[str, int]]:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras, _ = pytest.importorskip("keras"), pytest.importorskip("grain")
    data = keras.utils.image_dataset_from_directory(
        str(made / "run" / "images"), format="grain", image_size=(24, 32), shuffle=False, batch_size=7
    )
    labels = [int(label) for _, batch in data for label in batch]
    return by_folder(made, [(data.class_names[label], label) for label in labels])


def ultralytics_folder(made: Path) -> Counter[tuple[str, int]]:
    data = pytest.importorskip("ultralytics.data.dataset")
    cfg = pytest.importorskip("ultralytics.cfg")
    args = cfg.get_cfg(overrides={"imgsz": 32, "task": "classify", "fraction": 1.0, "cache": False})
    found = data.ClassificationDataset(str(made / "run" / "images"), args)
    names = {index: name for name, index in found.base.class_to_idx.items()}
    return by_folder(made, [(names[sample[1]], int(sample[1])) for sample in found.samples])


def datasets_folder(made: Path) -> Counter[tuple[str, int]]:
    datasets = pytest.importorskip("datasets")
    data = datasets.load_dataset("imagefolder", data_dir=str(made / "run"), cache_dir=str(made / "cache"))["train"]
    return Counter(zip(data["class_name"], data["label"], strict=True))


def datasets_parquet(made: Path) -> Counter[tuple[str, int]]:
    datasets = pytest.importorskip("datasets")
    data = datasets.load_dataset("parquet", data_dir=str(made / "parquet"), cache_dir=str(made / "cache"))["train"]
    assert all(image.size == (32, 24) for image in data["image"])
    return Counter((data.features["label"].names[label], label) for label in data["label"])


def datasets_webdataset(made: Path) -> Counter[tuple[str, int]]:
    datasets = pytest.importorskip("datasets")
    files = sorted(str(file) for file in (made / "webdataset").glob("*.tar"))
    data = datasets.load_dataset("webdataset", data_files={"train": files}, cache_dir=str(made / "cache"))["train"]
    assert all(image.size == (32, 24) for image in data["png"])
    return Counter((row["class_name"], int(label)) for row, label in zip(data["json"], data["cls"], strict=True))


def webdataset_tars(made: Path) -> Counter[tuple[str, int]]:
    wds = pytest.importorskip("webdataset")
    files = sorted(str(file) for file in (made / "webdataset").glob("*.tar"))
    data = wds.WebDataset(files, shardshuffle=False).decode("pil").to_tuple("png", "cls", "json")
    return Counter((facts["class_name"], int(label)) for image, label, facts in data if image.size == (32, 24))


def timm_tars(made: Path) -> Counter[tuple[str, int]]:
    timm = pytest.importorskip("timm")
    pytest.importorskip("webdataset")
    count = len(list((made / "webdataset").glob("*.tar"))) - 1
    data = timm.data.create_dataset(
        "wds/run",
        root=str(made / "webdataset"),
        split=f"shard-{{000000..{count:06d}}}.tar",
        num_samples=2 * EACH * len(CLASSES),
    )
    return Counter((CLASSES[int(label)], int(label)) for _, label in data)


READERS: Sequence[Callable[[Path], Counter[tuple[str, int]]]] = (
    torchvision_folder, fastai_folder, keras_folder, ultralytics_folder, datasets_folder, datasets_parquet,
    datasets_webdataset, webdataset_tars, timm_tars,
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_finds_the_classes_labels_and_counts_of_the_table(reader: Any, made: Path) -> None:
    assert reader(made) == wanted(made)


def test_timm_numbers_folders_as_the_card_says(made: Path) -> None:
    timm = pytest.importorskip("timm")
    images = made / "run" / "images"
    assert "timm" in (made / "run" / "README.md").read_text().split("## Load")[0]
    by_itself = timm.data.create_dataset("", str(images))
    names = sorted(by_itself.reader.class_to_idx, key=by_itself.reader.class_to_idx.__getitem__)
    assert names != sorted(names)
    assert len(by_itself) == 2 * EACH * len(CLASSES)
    order = {name: label for label, name in enumerate(sorted(entry.name for entry in images.iterdir()))}
    data = timm.data.create_dataset("", str(images), class_map=order)
    labels = [label for _, label in data.reader.samples]
    found = [(Path(data.filename(at, absolute=True)).parent.name, label) for at, label in enumerate(labels)]
    assert by_folder(made, found) == wanted(made)
