"""Image folders: any depth, any name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset


def example(root: Path) -> str:
    return str(zoo.example_folder(root / "folder"))


def test_classes_that_differ_in_case_alone_stay_apart(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"Cat": 1, "cat": 2})
    if len(os.listdir(tmp_path)) == 1:
        pytest.skip("this file system knows no case")
    assert open_dataset(tmp_path).counts() == {"Cat": 1, "cat": 2}


def test_images_that_fiftyone_calls_unlabelled_are_no_class(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"apple": 2, "_unlabeled": 3, "unlabeled wall": 1})
    data = open_dataset(tmp_path)
    assert data.counts() == {"apple": 2, "unlabeled wall": 1}
    assert data.reasons() == {"no label": 3}
