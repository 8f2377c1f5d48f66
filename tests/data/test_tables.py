"""Manifests, HF parquet, HF datasets on disk: columns, names, splits, and rows that cannot be used."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import zoo
from imaginate.data import Dataset, hfparquet, open_dataset, verify
from imaginate.errors import DataError


def table(labels: list[Any], names: list[str] | None = None, image: str = "struct", column: str = "label") -> pa.Table:
    cells: list[Any] = [{"bytes": zoo.png(n, height=8, width=8), "path": f"{n}.png"} for n in range(len(labels))]
    if image == "bytes":
        cells = [cell["bytes"] for cell in cells]
    made = pa.table({"image": cells, column: labels})
    if names is None:
        return made
    features = {"image": {"_type": "Image"}, column: {"names": names, "_type": "ClassLabel"}}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def by_class(data: Dataset) -> dict[str, list[str]]:
    return {name: [s.id for s in data.samples if s.label == label] for label, name in enumerate(data.labels.names)}


def manifest(root: Path, text: str, name: str = "list.csv") -> Path:
    zoo.folder(root / "img", {"a": 4})
    (root / name).write_text(text, encoding="utf-8")
    return root / name


MANIFESTS = {
    "list.csv": "file_name,label\nimg/a/000.png,cat\nimg/a/001.png,dog\n",
    "semicolons.csv": "\ufeffPath;Class\nimg/a/000.png;cat\nimg/a/001.png;dog\n",
    "list.tsv": "image\tcategory\nimg/a/000.png\tcat\nimg/a/001.png\tdog\n",
    "list.jsonl": '{"path": "img/a/000.png", "label": "cat"}\n\n{"path": "img/a/001.png", "label": "dog"}\n',
    "numbers.csv": "path,label,class_name\nimg/a/001.png,1,dog\nimg/a/000.png,0,cat\n",
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(name: str, tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, MANIFESTS[name], name))
    assert by_class(data) == {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    assert len(verify(data)) == 2


def test_manifest_in_parquet_and_in_a_folder(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 3})
    rows = pa.table({"file_name": ["img/a/000.png", "img/a/001.png"], "label": ["x", "y"], "split": ["train", "val"]})
    pq.write_table(rows, tmp_path / "metadata.parquet")
    for path in (tmp_path, tmp_path / "metadata.parquet"):
        assert by_class(open_dataset(path, split="validation")) == {"x": [], "y": ["img/a/001.png"]}


def test_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    text = "path,label\nimg/a/000.png,10\nimg/a/001.png,9\nimg/a/002.png,2\n"
    assert open_dataset(manifest(tmp_path, text)).labels.names == ("2", "9", "10")


def test_hostile_class_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = ["a/b", "../up", ".dot", "Cat", "cat", "猫", "a b", "con"]
    zoo.folder(tmp_path / "img", {"a": 8})
    rows = "".join(f"img/a/{n:03}.png,{name}\n" for n, name in enumerate(names))
    (tmp_path / "list.csv").write_text("path,label\n" + rows, encoding="utf-8")
    data = open_dataset(tmp_path / "list.csv")
    assert data.labels.names == tuple(sorted(names))
    assert [data.labels.names[sample.label] for sample in data.samples] == names


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    path = manifest(
        tmp_path,
        "path,label\nimg/a/000.png,cat\nimg/a/000.png,cat\nimg/a/001.png,cat\nimg/a/001.png,dog\n"
        "img/a/002.png,\nnowhere.png,cat\n,cat\nempty.png,dog\nimg,dog\nimg/a/003.png,dog\n",
    )
    data = open_dataset(path)
    assert [sample.id for sample in data.samples] == ["img/a/000.png", "img/a/003.png"]
    assert [(item.id, item.reason) for item in data.skipped] == [
        ("img/a/000.png", "listed twice"),
        ("img/a/001.png", "same image under two labels (cat, dog)"),
        ("img/a/001.png", "same image under two labels (cat, dog)"),
        ("img/a/002.png", "no label"),
        ("nowhere.png", "missing file"),
        ("row 7", "no path"),
        ("empty.png", "empty file"),
        ("img", "not a regular file"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "a,b\n1,2\n", r"no image path and label columns; it has a, b$"),
        ("list.csv", "path,label\n", r"no image path and label columns; it has nothing$"),
        ("list.csv", 'path,label\n"a.png,cat\n', r"after line 0: unexpected end of data$"),
        ("list.jsonl", '{"path": "a", "label": "b"}\n{oops\n', r"after line 1: "),
        ("list.csv", "path,label,class_name\na.png,0,x\nb.png,0,y\n", r"gives one label two class names"),
    ],
)
def test_broken_manifests_are_one_clear_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(manifest(tmp_path, text, name))
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_not_utf8(tmp_path: Path) -> None:
    path = manifest(tmp_path, "")
    path.write_bytes("path,label\nimg/a/000.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="utf-8"):
        open_dataset(path)


def test_hf_parquet_with_features(tmp_path: Path) -> None:
    pq.write_table(table([1, 0, -1, 7, None, 1], ["cat", "dog", "owl"]), tmp_path / "train.parquet", row_group_size=2)
    pq.write_table(table([2], ["cat", "dog", "owl"]), tmp_path / "test-00000-of-00001.parquet")
    data = open_dataset(tmp_path)
    assert (data.split, data.splits) == ("train", ("train", "test"))
    assert by_class(data) == {"cat": ["train/1"], "dog": ["train/0", "train/5"], "owl": []}
    assert [(s.id, s.reason) for s in data.skipped] == [
        ("train/2", "no label"), ("train/3", "label out of range"), ("train/4", "no label"),
    ]  # fmt: skip
    sent = pickle.loads(pickle.dumps(data.samples))
    assert [s.source.read() for s in sent] == [zoo.png(n, height=8, width=8) for n in (0, 1, 5)]
    assert open_dataset(tmp_path, split="test").labels == data.labels


def test_hf_parquet_with_bare_labels_has_one_label_space(tmp_path: Path) -> None:
    pq.write_table(table(["b", "c"], image="bytes"), tmp_path / "train.parquet")
    pq.write_table(table(["a"], image="bytes"), tmp_path / "validation.parquet")
    data = open_dataset(tmp_path)
    assert by_class(data) == {"a": [], "b": ["train/0"], "c": ["train/1"]}
    assert open_dataset(tmp_path, split="val").labels == data.labels


def test_class_names_that_repeat_get_numbers(tmp_path: Path) -> None:
    pq.write_table(table([0, 1, 2], ["crane", "owl", "crane"]), tmp_path / "a.parquet")
    assert open_dataset(tmp_path / "a.parquet").labels.names == ("crane", "owl", "crane (2)")


def test_hf_parquet_whose_images_lie_beside_it(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 2})
    cells = [{"bytes": None, "path": "img/a/000.png"}, {"bytes": None, "path": "img/a/gone.png"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(cells, kind), "label": [0, 0]}), tmp_path / "a.parquet")
    found = verify(open_dataset(tmp_path / "a.parquet"))
    assert [s.id for s in found.samples] == ["a/0"]
    assert dict(found.reasons()) == {"missing file": 1}


def test_parquet_files_that_disagree_or_do_not_fit(tmp_path: Path) -> None:
    pq.write_table(table([0], ["cat"]), tmp_path / "train.parquet")
    pq.write_table(table([0], ["dog"]), tmp_path / "test.parquet")
    with pytest.raises(DataError, match="other class names"):
        open_dataset(tmp_path)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"has no image and label columns; it has text$"):
        open_dataset(tmp_path)
    (tmp_path / "test.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="as parquet"):
        open_dataset(tmp_path)


def test_the_row_group_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hfparquet, "CACHE_BYTES", 20_000)
    monkeypatch.setattr(hfparquet, "HEAD_ROWS", 1)
    pq.write_table(table([0] * 200), tmp_path / "a.parquet", row_group_size=20)
    data = open_dataset(tmp_path / "a.parquet")
    for sample in [*data.samples, *reversed(data.samples)]:
        sample.source.read()
        held = hfparquet._cache._held.values()
        assert len(held) == 1 or sum(column.nbytes for column in held) <= 20_000


def test_hf_dataset_on_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"]))
    images = [{"bytes": zoo.png(n, height=8, width=8), "path": None} for n in range(5)]
    rows = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 1, 0, 1]}, features=features)
    train = rows.shuffle(seed=0).select(range(4))
    datasets.DatasetDict(train=train, test=rows.select([4])).save_to_disk(tmp_path / "d")
    rows.save_to_disk(tmp_path / "lone", num_shards=2)
    both = open_dataset(tmp_path / "d")
    assert (both.split, both.splits, len(both), both.labels.names) == ("train", ("train", "test"), 4, ("cat", "dog"))
    assert len(verify(both)) == 4
    assert open_dataset(tmp_path / "d", split="test").samples[0].source.read() == images[4]["bytes"]
    lone = open_dataset(tmp_path / "lone")
    assert [s.label for s in lone.samples] == [0, 1, 1, 0, 1]
    assert [s.source.read() for s in pickle.loads(pickle.dumps(lone.samples))] == [i["bytes"] for i in images]
