"""What img2dataset writes as files: the label in the JSON of each image, shards that are no classes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data import zoo
from imaginate.data import open_dataset


def example(root: Path) -> str:
    home = root / "images"
    tables: dict[str, list[dict[str, str]]] = {"00000": [], "00001": []}
    for number, (_, name, data) in enumerate(zoo.EXAMPLE):
        shard = f"{number % 2:05d}"
        key = f"{shard}{number:04d}"
        (home / shard).mkdir(parents=True, exist_ok=True)
        (home / shard / f"{key}.png").write_bytes(data)
        (home / shard / f"{key}.txt").write_text("a caption")
        (home / shard / f"{key}.json").write_text(json.dumps({"label": name, "key": key, "status": "success"}))
        tables[shard].append({"key": key, "status": "success"})
    tables["00001"].append({"key": "000019999", "status": "failed_to_download"})
    for shard, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), home / f"{shard}.parquet")
        (home / f"{shard}_stats.json").write_text(json.dumps({"count": len(rows)}))
    return str(home)


def test_a_failed_row_carries_its_status(tmp_path: Path) -> None:
    data = open_dataset(example(tmp_path))
    assert data.labels.names == ("cat", "dog")
    assert [(item.id, item.reason) for item in data.skipped] == [("00001/000019999", "failed_to_download")]
