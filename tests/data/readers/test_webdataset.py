"""WebDataset tars: labels from .cls and .json, names, shards, splits, and incomplete samples."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from data import zoo
from imaginate.data import Dataset, open_dataset, verify
from imaginate.errors import DataError


def example(root: Path) -> str:
    (root / "shards").mkdir()
    for split in ("train", "test"):
        members: dict[str, Any] = {"lone.cls": b"0"} if split == "train" else {}
        for number, (_, name, data) in enumerate(row for row in zoo.EXAMPLE if row[0] == split):
            members |= {f"{number}.png": data, f"{number}.cls": name.encode()}
        shard(root / f"shards/{split}-000000.tar", members)
    return str(root / "shards")


def shard(path: Path, members: dict[str, Any], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as to:
        for name, value in members.items():
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            to.addfile(info, io.BytesIO(data))
    return path


def rows(data: Dataset) -> list[tuple[str, str]]:
    return [(sample.id, data.labels.names[sample.label]) for sample in data.samples]


def test_numbers_and_names(tmp_path: Path) -> None:
    numbers = {"a/000.png": zoo.png(0), "a/000.cls": b"2", "001.jpg": zoo.jpeg(1), "001.cls": b"0\n"}
    data = open_dataset(shard(tmp_path / "one.tar", numbers))
    assert rows(data) == [("one/a/000", "2"), ("one/001", "0")]
    assert data.labels.names == ("0", "1", "2")
    assert [sample.source.read() for sample in data.samples] == [zoo.png(0), zoo.jpeg(1)]
    names = {"000.png": zoo.png(0), "000.cls": b"dog", "001.png": zoo.png(1), "001.json": {"label": "cat"}}
    assert rows(open_dataset(shard(tmp_path / "two.tar.gz", names, "w:gz"))) == [("two/000", "dog"), ("two/001", "cat")]


def test_json_may_give_number_and_name(tmp_path: Path) -> None:
    members = {
        "0.png": zoo.png(0), "0.cls": b"1", "0.json": {"class_name": "dog", "caption": "a dog"},
        "1.png": zoo.png(1), "1.cls": b"3", "1.json": {"class_name": "owl"},
    }  # fmt: skip
    assert open_dataset(shard(tmp_path / "a.tar", members)).labels.names == ("0", "dog", "2", "owl")
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\ndoe\n")
    assert open_dataset(tmp_path / "a.tar").labels.names == ("ant", "bee", "cat", "doe")


def test_shards_and_splits(tmp_path: Path) -> None:
    for number, split in enumerate(["train-000000", "train-000001", "val-000000"]):
        shard(tmp_path / f"{split}.tar", {"s.png": zoo.png(number), "s.cls": b"%d" % number})
    train = open_dataset(tmp_path)
    assert rows(train) == [("train-000000.tar/s", "0"), ("train-000001.tar/s", "1")]
    assert len(train.labels) == 3
    assert rows(open_dataset(tmp_path, split="val")) == [("val-000000.tar/s", "2")]
    assert len(open_dataset(f"{tmp_path}/train-{{000000..000001}}.tar")) == 2
    with pytest.raises(DataError, match=r"cannot read .*train-000002\.tar: No such file"):
        open_dataset(f"{tmp_path}/train-{{000001..000002}}.tar")


def test_tars_without_labels_say_what_a_label_is(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        shard(tmp_path / f"{name}.tar", {f"{name}_{i}.png": zoo.png(i) for i in range(2)})
    with pytest.raises(DataError, match=r"4 no label; a WebDataset has a label for each image, 0001.cls or 0001.json"):
        open_dataset(tmp_path)


def test_several_labels_of_a_json_are_one_line(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", {"0.png": zoo.png(), "0.json": b'{"labels": ["cat", "dog"]}'})
    with pytest.raises(DataError, match=r"several labels an image, as in \['cat', 'dog'\]"):
        open_dataset(tmp_path / "a.tar")


def test_incomplete_samples_are_skipped(tmp_path: Path) -> None:
    members = {
        "good.png": zoo.png(0), "good.cls": b"0", "lone.cls": b"0", "nolabel.png": zoo.png(1), "empty.png": b"",
        "empty.cls": b"0", "odd.png": zoo.png(2), "odd.json": b"{oops", "cut.jpg": zoo.jpeg()[:-200], "cut.cls": b"0",
        "negative.png": zoo.png(4), "negative.cls": b"-1",
    }  # fmt: skip
    found = verify(open_dataset(shard(tmp_path / "a.tar", members)))
    assert rows(found) == [("a/good", "0")]
    assert {item.id: item.reason for item in found.skipped} == {
        "a/lone": "no image", "a/nolabel": "no label", "a/empty": "empty file", "a/odd": "no label", 
        "a/cut": "truncated", "a/negative": "no label",
    }  # fmt: skip


def test_as_the_webdataset_library_writes_it(tmp_path: Path) -> None:
    writer = pytest.importorskip("webdataset").TarWriter(str(tmp_path / "train-0.tar"))
    for number in range(3):
        writer.write({"__key__": f"{number:05}", "png": zoo.png(number), "cls": number % 2})
    writer.close()
    data = open_dataset(tmp_path)
    assert [sample.label for sample in data.samples] == [0, 1, 0]
    assert data.samples[2].source.read() == zoo.png(2)
