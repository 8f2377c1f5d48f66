"""Which images a classifier is measured on, and what cannot be measured at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imaginate import open_dataset
from imaginate.errors import DataError
from imaginate.training.classifier import train
from imaginate.training.held_out import open_held_out
from worlds import folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number, split in enumerate(("train", "validation", "test")):
        folder(tmp_path / "data" / split, each=2 + number)
    return tmp_path / "data"


def test_without_a_split_every_split_but_the_training_one_is_held_out(data: Path, tmp_path: Path) -> None:
    for split, others in (("train", {"validation", "test"}), ("test", {"train", "validation"})):
        found = open_held_out(str(data), None, open_dataset(data, split=split))
        assert {sample.split for sample in found.samples} == others
        assert set(str(found.split).split(", ")) == others
    named = open_held_out(str(data), "test", open_dataset(data, split="train"))
    assert {sample.split for sample in named.samples} == {"test"}
    other = shutil.copytree(data, tmp_path / "other")
    with pytest.raises(DataError, match="has the splits train, validation, test: name one with --held-out-split"):
        open_held_out(str(other), None, open_dataset(data, split="train"))
    whole = open_held_out(str(folder(tmp_path / "flat")), None, open_dataset(data, split="train"))
    assert len(whole) == 12


def test_one_class_is_refused(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", classes=("only",))
    with pytest.raises(DataError, match=r"needs at least two classes, got 1 \(only\) in "):
        train(one, tmp_path / "out", arch="small", updates=2, device="cpu", progress=False)
