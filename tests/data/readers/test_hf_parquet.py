"""HF parquet: columns, names, splits, and rows that cannot be used."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data import zoo
from imaginate.data import open_dataset, verify
from imaginate.data.decoding import pixels_of
from imaginate.data.sources import hf_parquet
from imaginate.errors import DataError


def example(root: Path) -> str:
    (root / "folder").mkdir()
    for split in ("train", "test"):
        rows = [(name, data) for at, name, data in zoo.EXAMPLE if at == split]
        labels = [["cat", "dog"].index(name) for name, _ in rows]
        images = [data for _, data in rows]
        if split == "train":
            labels, images = [*labels, -1], [*images, images[0]]
        made = table(labels, ["cat", "dog"], images=images)
        pq.write_table(made, root / f"folder/{split}-00000-of-00001.parquet", row_group_size=2)
    return str(root / "folder")


def table(
    labels: list[Any], names: list[str] | None = None, image: str = "struct", *, images: list[bytes] | None = None
) -> pa.Table:
    images = images or [zoo.png(n, height=8, width=8) for n in range(len(labels))]
    cells: list[Any] = [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(images)]
    if image == "bytes":
        cells = [cell["bytes"] for cell in cells]
    made = pa.table({"image": cells, "label": labels})
    if names is None:
        return made
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_hf_parquet_with_features(tmp_path: Path) -> None:
    pq.write_table(table([1, 0, -1, 7, None, 1], ["cat", "dog", "owl"]), tmp_path / "train.parquet", row_group_size=2)
    pq.write_table(table([2], ["cat", "dog", "owl"]), tmp_path / "test-00000-of-00001.parquet")
    data = open_dataset(tmp_path)
    assert (data.split, data.splits) == ("train", ("train", "test"))
    assert zoo.by_class(data) == {"cat": ["train/1"], "dog": ["train/0", "train/5"], "owl": []}
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
    assert zoo.by_class(data) == {"a": [], "b": ["train/0"], "c": ["train/1"]}
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
    monkeypatch.setattr(hf_parquet, "CACHE_BYTES", 20_000)
    monkeypatch.setattr(hf_parquet, "HEAD_ROWS", 1)
    pq.write_table(table([0] * 200), tmp_path / "a.parquet", row_group_size=20)
    data = open_dataset(tmp_path / "a.parquet")
    for sample in [*data.samples, *reversed(data.samples)]:
        sample.source.read()
        held = hf_parquet._cache._held.values()
        assert len(held) == 1 or sum(column.nbytes for column in held) <= 20_000


def test_pictures_of_img2dataset_are_without_their_border_and_failed_rows_say_why(tmp_path: Path) -> None:
    inner = zoo.picture(3, 24, 40)
    boxed = np.full((40, 40, 3), 255, np.uint8)
    boxed[8:32] = inner
    rows = [
        {"key": f"{n:05d}", "jpg": zoo.encoded(Image.fromarray(boxed)), "label": n, "status": "success", "exif": "{}",
         "width": 40, "height": 40, "original_width": 80, "original_height": 48}
        for n in range(2)
    ]  # fmt: skip
    rows.append({**dict.fromkeys(rows[0]), "key": "00002", "label": 1, "status": "failed_to_download"})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "00000.parquet")
    data = open_dataset(tmp_path)
    assert [pixels_of(s).shape for s in data.samples] == [(24, 40, 3)] * 2
    assert np.array_equal(pixels_of(data.samples[0]), inner)
    assert data.reasons() == {"failed_to_download": 1}
