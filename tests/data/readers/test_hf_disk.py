"""HF datasets saved on disk: one dataset, and a folder of splits."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset, verify


def example(root: Path) -> str:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"]))

    def split(wanted: str) -> object:
        rows = [(name, data) for at, name, data in zoo.EXAMPLE if at == wanted]
        labels: list[int | None] = [["cat", "dog"].index(name) for name, _ in rows]
        images = [{"bytes": data, "path": None} for _, data in rows]
        if wanted == "train":
            labels, images = [*labels, None], [*images, images[0]]
        return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)

    datasets.DatasetDict(train=split("train"), test=split("test")).save_to_disk(root / "saved")
    return str(root / "saved")


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
