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
