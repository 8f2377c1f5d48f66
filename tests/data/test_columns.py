"""Columns that are asked for (--label-column, --path-column): read where a format has them, else refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import zoo
from data.readers.test_webdataset import shard
from imaginate import registry
from imaginate.data import open_dataset
from imaginate.data.opening import list_samples
from imaginate.data.spec import DataSpec
from imaginate.errors import DataError

AGES, GENDERS = ["0-9", "10-19", "20-29"], ["female", "male"]
BY_COLUMN = {"manifest", "hf-parquet", "hf-disk", "webdataset", "img2dataset"}


def faces(**more: Any) -> pa.Table:
    """A table of images as `datasets` writes it, with two columns of class labels and two plain ones."""
    images = [{"bytes": zoo.png(n, height=8, width=8), "path": f"{n}.png"} for n in range(4)]
    columns = {
        "image": images,
        "age": [2, 0, 1, 2],
        "gender": [1, 0, 0, 1],
        "town": ["a", "b", "b", None],
        "year": [3, 3, 4, 4],
    }
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "age": {"names": AGES, "_type": "ClassLabel"},
        "gender": {"names": GENDERS, "_type": "ClassLabel"},
    }  # fmt: skip
    features |= {name: {"names": ["x", "y"], "_type": "ClassLabel"} for name in more}
    return pa.table({**columns, **more}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )


def parquet(root: Path, **more: Any) -> Path:
    pq.write_table(faces(**more), root / "train.parquet")
    return root / "train.parquet"


def saved(root: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    rows = faces().select(["image", "age", "gender", "town", "year"]).to_pydict()
    features = datasets.Features(
        image=datasets.Image(), age=datasets.ClassLabel(names=AGES), gender=datasets.ClassLabel(names=GENDERS),
        town=datasets.Value("string"), year=datasets.Value("int64"),
    )  # fmt: skip
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(root / "saved")
    return root / "saved"


@pytest.mark.parametrize("make", [parquet, saved])
def test_images_with_several_columns_of_labels_have_those_of_the_one_that_is_asked_for(
    make: Any, tmp_path: Path
) -> None:
    path = make(tmp_path)
    gender = open_dataset(path, label_column="Gender")
    assert gender.labels.names == ("female", "male")
    assert [s.label for s in gender.samples] == [1, 0, 0, 1]
    age = open_dataset(path, label_column="age")
    assert (age.labels.names, [s.label for s in age.samples]) == (tuple(AGES), [2, 0, 1, 2])
    town = open_dataset(path, label_column="town")
    assert (town.labels.names, [s.label for s in town.samples], town.reasons()) == (
        ("a", "b"),
        [0, 1, 1],
        {"no label": 1},
    )
    assert open_dataset(path, label_column="year").labels.names == ("3", "4")
    with pytest.raises(DataError, match=r"has no column 'gendre' \(--label-column\); did you mean 'gender'\?"):
        open_dataset(path, label_column="gendre")
    with pytest.raises(DataError, match="column 'image' holds the images, and no labels"):
        open_dataset(path, label_column="image")
    with pytest.raises(DataError, match="several columns of labels, age and gender: name one with --label-column"):
        open_dataset(path)


def test_a_usual_name_is_the_default_among_several_columns_of_labels(tmp_path: Path) -> None:
    """CIFAR-100's fine and coarse labels."""
    for usual in ("label", "fine_label"):
        path = parquet(tmp_path, **{usual: [0, 1, 1, 0], "coarse_label": [1, 1, 1, 0]})
        assert [s.label for s in open_dataset(path).samples] == [0, 1, 1, 0]
        assert [s.label for s in open_dataset(path, label_column="coarse_label").samples] == [1, 1, 1, 0]


def test_of_several_columns_of_images_the_one_that_is_asked_for_is_read(tmp_path: Path) -> None:
    masks = [{"bytes": zoo.png(10 + n, height=8, width=8), "path": None} for n in range(4)]
    pq.write_table(faces().append_column("mask", pa.array(masks)), tmp_path / "a.parquet")
    for column, first in ((None, 0), ("image", 0), ("mask", 10)):
        data = open_dataset(tmp_path / "a.parquet", label_column="age", path_column=column)
        assert data.samples[0].source.read() == zoo.png(first, height=8, width=8)
    with pytest.raises(DataError, match=r"column 'age' holds no images \(--path-column\); there is image, mask"):
        open_dataset(tmp_path / "a.parquet", label_column="gender", path_column="age")
    with pytest.raises(DataError, match=r"has no column 'masks' \(--path-column\); did you mean 'mask'"):
        open_dataset(tmp_path / "a.parquet", label_column="gender", path_column="masks")


def test_images_without_a_known_column_of_labels_take_the_one_that_is_asked_for(tmp_path: Path) -> None:
    pq.write_table(faces().select(["image", "town", "year"]), tmp_path / "a.parquet")
    assert open_dataset(tmp_path / "a.parquet", label_column="town").labels.names == ("a", "b")
    with pytest.raises(
        DataError, match=r"no column of labels that is known: .*--label-column.*; it has image, town, year"
    ):
        open_dataset(tmp_path / "a.parquet")


def test_the_label_of_a_webdataset_is_the_key_that_is_asked_for(tmp_path: Path) -> None:
    members: dict[str, Any] = {}
    for n, (age, gender) in enumerate(((2, "male"), (0, "female"), (1, None))):
        members |= {
            f"{n}.image.png": zoo.png(n), f"{n}.mask.png": zoo.png(10 + n), f"{n}.cls": b"%d" % age,
            f"{n}.json": {"age": age, "gender": gender}, f"{n}.eyes": b"blue",
        }  # fmt: skip
    path = shard(tmp_path / "a.tar", members)
    assert [s.label for s in open_dataset(path).samples] == [2, 0, 1]
    gender = open_dataset(path, label_column="gender")
    assert (gender.labels.names, [s.label for s in gender.samples]) == (("female", "male"), [1, 0])
    assert gender.reasons() == {"no label": 1}
    assert open_dataset(path, label_column="eyes").labels.names == ("blue",)
    assert open_dataset(path, path_column="mask.png").samples[1].source.read() == zoo.png(11)
    for folder in (path, tmp_path):
        with pytest.raises(DataError, match=r"has no column 'gendre' \(--label-column\); did you mean 'gender'\?"):
            open_dataset(folder, label_column="gendre")
    with pytest.raises(DataError, match=r"has no column 'nonsense' \(--path-column\); there is image.png, mask.png"):
        open_dataset(path, path_column="nonsense")


@pytest.mark.parametrize("setting", ["label_column", "path_column"])
@pytest.mark.parametrize("name", registry.names("readers"))
def test_no_reader_takes_a_column_that_is_not_there(name: str, setting: str, tmp_path: Path) -> None:
    path = str(importlib.import_module(f"data.readers.test_{name.replace('-', '_')}").example(tmp_path))
    flag = "--" + setting.replace("_", "-")
    with pytest.raises(DataError, match=rf"^[^\n]* has no column 'nonsense' \({flag}\)[^\n]*$") as caught:
        open_dataset(path, **{setting: "nonsense"})
    assert (" is read as " in str(caught.value)) == (name not in BY_COLUMN)


def test_another_dataset_without_columns_is_read_as_the_first(tmp_path: Path) -> None:
    """Held-out images in class folders, of training images in a table with a column that is named."""
    zoo.folder(tmp_path, {"a": 2, "b": 1})
    spec = DataSpec(path=str(tmp_path), label_column="grade")
    assert len(list_samples(spec, is_elsewhere=True).samples) == 3
    with pytest.raises(DataError, match="is read as image folder, which has no column 'grade'"):
        list_samples(spec)


def test_class_folders_give_way_to_the_table_whose_column_is_asked_for(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "grades.csv").write_text("file,grade\na/000.png,low\na/001.png,high\nb/000.png,low\n")
    assert open_dataset(tmp_path).labels.names == ("a", "b")
    assert open_dataset(tmp_path, label_column="grade").counts() == {"high": 1, "low": 2}
    with pytest.raises(DataError, match=r"has no column 'grad' \(--label-column\); did you mean 'grade'"):
        open_dataset(tmp_path, label_column="grad")
    with pytest.raises(DataError, match="is read as image folder, which has no column 'grade'"):
        open_dataset(tmp_path, label_column="grade", layout="folders")
