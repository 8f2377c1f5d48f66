"""What a person names as a source: a place, or a pattern of places."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from PIL import Image

from imaginate.errors import DataError
from imaginate.pool.listing import check_sources, units_of


def test_a_source_behind_a_url_that_is_there_is_no_pattern() -> None:
    store = fsspec.filesystem("memory")
    for name in ("a[1].tar", "a1.tar", "ab1.tar"):
        store.pipe_file(f"/signs/{name}", b"")
    assert [unit.name for unit in units_of("memory://signs/a[1].tar")] == ["a[1].tar"]
    assert [unit.name for unit in units_of("memory://signs/a[b]1.tar")] == ["ab1.tar"]


def test_a_split_that_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    """A folder of images is taken whole: its test images must not come along because somebody asked for `train`."""
    for split in ("train", "test"):
        (tmp_path / "data" / split / "x").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / split / "x" / "0.png")
    place = str(tmp_path / "data")
    assert len(list(units_of(place))) == 2
    for check in (lambda: list(units_of(place, "train")), lambda: check_sources([place], split="train")):
        with pytest.raises(
            DataError, match=r"takes all images of .*data, whatever their split: leave out --split train"
        ):
            check()
    (tmp_path / "list.csv").write_text("path,label,split\ndata/train/x/0.png,x,train\ndata/test/x/0.png,x,test\n")
    check_sources([str(tmp_path / "list.csv")], split="train")
    (unit,) = units_of(str(tmp_path / "list.csv"), "train")
    assert [item.name for item in unit.items()] == ["list.csv/data/train/x/0.png"]
