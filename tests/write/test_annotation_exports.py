"""What is exported for annotation tools is read back with the same labels."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

import imaginate
from worlds import named

NAMES = ("ant", "bee & <cow>")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exports")
    imaginate.expand(str(named(root, NAMES, each=2)), str(root / "run"), "cutout", copies=2, progress=False)
    return root / "run"


def content(path: Path) -> Counter[tuple[str, str]]:
    """Pictures, by their bytes, with the names of their classes."""
    found = imaginate.open_dataset(str(path))
    return Counter((hashlib.sha256(s.source.read()).hexdigest(), found.labels[s.label].name) for s in found.samples)


@pytest.mark.parametrize("form", ["fiftyone", "label-studio"])
def test_an_export_for_a_tool_is_read_back(run: Path, tmp_path: Path, form: str) -> None:
    assert imaginate.export(str(run), str(tmp_path / "out"), form) == 12
    assert content(tmp_path / "out") == content(run)


def test_label_studio_gets_its_project(run: Path, tmp_path: Path) -> None:
    imaginate.export(str(run), str(tmp_path / "out"), "label-studio")
    choices = ElementTree.parse(tmp_path / "out" / "config.xml").iter("Choice")
    assert [one.get("value") for one in choices] == list(NAMES)
    assert len(json.loads((tmp_path / "out" / "tasks.json").read_text())) == 12


def test_ultralytics_gets_class_folders(run: Path, tmp_path: Path) -> None:
    imaginate.export(str(run), str(tmp_path / "out"), "ultralytics")
    folders = sorted(place.name for place in (tmp_path / "out" / "train").iterdir())
    assert folders == sorted(place.name for place in (run / "images").iterdir())
    assert len(list((tmp_path / "out" / "train").glob("*/*"))) == 12


def test_coco_names_every_image_once_with_its_class(run: Path, tmp_path: Path) -> None:
    imaginate.export(str(run), str(tmp_path / "out"), "coco")
    found = json.loads((tmp_path / "out" / "annotations.json").read_text())
    names = {row["id"]: row["name"] for row in found["categories"]}
    of = {row["image_id"]: names[row["category_id"]] for row in found["annotations"]}
    pictures = [(tmp_path / "out" / "images" / row["file_name"], of[row["id"]]) for row in found["images"]]
    known = Counter((hashlib.sha256(path.read_bytes()).hexdigest(), name) for path, name in pictures)
    assert known == content(run)
    assert {(row["width"], row["height"]) for row in found["images"]} == {(32, 24)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, which mlcroissant uses
def test_croissant_is_valid_and_reads_every_image(run: Path, tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    imaginate.export(str(run), str(tmp_path / "out"), "parquet", per_file=8)
    dataset = croissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json"))
    assert not dataset.metadata.issues.errors
    rows = [row for name in ("default", "default-1") for row in dataset.records(name)]
    assert len(rows) == 12
    keys = [sorted(key.partition("/")[2] for key in row)[:3] for row in rows]
    assert all("class_name" in key for key in keys)
    assert {next(v for k, v in row.items() if k.endswith("/image")).size for row in rows} == {(32, 24)}
    named = Counter(next(v for k, v in row.items() if k.endswith("/class_name")).decode() for row in rows)
    assert named == Counter(dict.fromkeys(NAMES, 6))
