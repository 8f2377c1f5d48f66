"""A finished run is a dataset; an unfinished one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import zoo
from imaginate.data import open_dataset
from imaginate.errors import DataError


def example(root: Path) -> str:
    rows: dict[str, list[object]] = {"file_name": [], "label": [], "class_name": [], "origin": []}
    for number, (_, name, data) in enumerate(zoo.EXAMPLE):
        file = root / f"run/images/{name}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        row = (
            f"images/{name}/{number}.png",
            ["cat", "dog"].index(name),
            name,
            "synthetic" if number % 2 else "original",
        )
        for column, value in zip(rows.values(), row, strict=True):
            column.append(value)
    for column, value in zip(rows.values(), ("images/cat/gone.png", 0, "cat", "synthetic"), strict=True):
        column.append(value)
    pq.write_table(pa.table(rows), root / "run/metadata.parquet")
    (root / "run/recipe.yaml").write_text("seed: 0\n")
    return str(root / "run")


def write_run(root: Path) -> Path:
    zoo.folder(root / "images", {"cat": 3})
    rows = {
        "file_name": ["images/cat/000.png", "images/cat/001.png", "images/cat/002.png", "images/cat/gone.png"],
        "label": [1, 1, 1, 0],
        "class_name": ["cat", "cat", "cat", "ant"],
        "origin": ["original", "synthetic", "retrieved", "synthetic"],
        "seed_image": [None, "cat/7.png", None, None],
        "method": [None, "mixup", "nearest", "mixup"],
        "copy": [None, 2, 0, 0],
        "soft_label": [None, [0.25, 0.75, 0.0], None, None],
        "kept": [True] * 4,
        "score_entropy": [None, 0.5, None, None],
    }
    pq.write_table(pa.table(rows), root / "metadata.parquet")
    (root / "recipe.yaml").write_text("seed: 0\n")
    classes = [{"name": name, "display": name.upper(), "synonyms": ["s"], "seeds": 2} for name in ("ant", "cat", "dog")]
    (root / "run.json").write_text(json.dumps({"classes": classes}))
    return root


def test_a_run_is_a_dataset(tmp_path: Path) -> None:
    data = open_dataset(write_run(tmp_path / "run"))
    assert data.format == "run"
    assert data.labels.titles == ("ANT", "CAT", "DOG")
    made = data.samples[1]
    assert made.soft_label == (0.25, 0.75, 0.0)
    assert made.meta == {"origin": "synthetic", "method": "mixup", "seed_image": "cat/7.png", "copy": 2}
    assert [(s.id, s.reason) for s in data.skipped] == [("images/cat/gone.png", "missing file")]
    assert [s.id for s in open_dataset(data.spec, origin="original").samples] == ["images/cat/000.png"]
    assert [s.meta["origin"] for s in open_dataset(data.spec, origin="synthetic").samples] == ["synthetic", "retrieved"]
    (tmp_path / "run/run.json").unlink()
    assert open_dataset(tmp_path / "run").labels.names == ("ant", "cat")


def test_an_unfinished_run_and_origin_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run/shards").mkdir(parents=True)
    (tmp_path / "run/recipe.yaml").write_text("seed: 0\n")
    with pytest.raises(DataError, match="run that is not finished"):
        open_dataset(tmp_path / "run")
    with pytest.raises(DataError, match="origin 'original' needs a run"):
        open_dataset(zoo.folder(tmp_path / "f"), origin="original")
