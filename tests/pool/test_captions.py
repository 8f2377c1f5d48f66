"""A table as a source of a pool: its captions are kept, and it needs no classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaginate.data.decoding import load
from imaginate.errors import DataError
from imaginate.pool.listing import units_of
from imaginate.records import Sample


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for number in range(4):
        values = np.full((8, 8), 900 * (number + 1), np.uint16)
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    return tmp_path


def _facts(table: Path, split: str | None = None) -> list[tuple[str, object, object]]:
    (unit,) = units_of(str(table), split)
    return [(one.name.partition("/")[2], one.facts.get("caption"), one.facts.get("licence")) for one in unit.items()]


def test_the_captions_of_a_table_with_classes_are_kept(place: Path) -> None:
    rows = ["path,label,caption,license", "0.png,a,a red fox,CC0", "1.png,b,,CC0", "./2.png,a,two foxes,"]
    (place / "list.csv").write_text("\n".join(rows))
    assert _facts(place / "list.csv") == [
        ("0.png", "a red fox", "CC0"),
        ("1.png", "b", "CC0"),
        ("2.png", "two foxes", None),
    ]
    (place / "plain.csv").write_text("path,label\n0.png,a\n1.png,b\n")
    assert _facts(place / "plain.csv") == [("0.png", "a", None), ("1.png", "b", None)]


def test_a_table_without_classes_is_a_source(place: Path) -> None:
    rows = ["path,caption,url,split", "0.png,one,http://x/0,train", "0.png,one,http://x/0,train", "gone.png,x,,train"]
    (place / "list.csv").write_text("\n".join([*rows, "3.png,four,http://x/3,test"]))
    assert _facts(place / "list.csv") == [("0.png", "one", None), ("3.png", "four", None), ("gone.png", None, None)]
    assert [name for name, *_ in _facts(place / "list.csv", "test")] == ["3.png"]
    with pytest.raises(DataError, match="has no image of the split 'val'"):
        _facts(place / "list.csv", "val")
    (unit,) = units_of(str(place / "list.csv"))
    items = [one for one in unit.items() if one.source is not None]
    levels = [int(load(Sample(id=one.name, label=0, source=one.source)).max()) for one in items if one.source]
    assert levels == [56, 224]  # in one range, 0 to 4095
