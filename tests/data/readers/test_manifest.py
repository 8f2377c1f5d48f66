"""Manifests: columns, names, splits, and rows that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import zoo
from imaginate.data import open_dataset, verify
from imaginate.errors import DataError


def example(root: Path) -> str:
    lines = ["file_name,label,split"]
    for number, (split, name, data) in enumerate(zoo.EXAMPLE):
        (root / f"{number}.png").write_bytes(data)
        lines.append(f"{number}.png,{name},{split}")
    (root / "list.csv").write_text("\n".join([*lines, "gone.png,cat,train"]))
    return str(root / "list.csv")


def manifest(root: Path, text: str, name: str = "list.csv") -> Path:
    zoo.folder(root / "img", {"a": 4})
    (root / name).write_text(text, encoding="utf-8")
    return root / name


MANIFESTS = {
    "list.csv": "file_name,label\nimg/a/000.png,cat\nimg/a/001.png,dog\n",
    "semicolons.csv": "\ufeffPath;Class\nimg/a/000.png;cat\nimg/a/001.png;dog\n",
    "list.tsv": "image\tcategory\nimg/a/000.png\tcat\nimg/a/001.png\tdog\n",
    "list.jsonl": '{"path": "img/a/000.png", "label": "cat"}\n\n{"path": "img/a/001.png", "label": "dog"}\n',
    "numbers.csv": "path,label,class_name\nimg/a/001.png,1,dog\nimg/a/000.png,0,cat\n",
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(name: str, tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, MANIFESTS[name], name))
    assert zoo.by_class(data) == {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    assert len(verify(data)) == 2


def test_manifest_in_parquet_and_in_a_folder(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 3})
    rows = pa.table({"file_name": ["img/a/000.png", "img/a/001.png"], "label": ["x", "y"], "split": ["train", "val"]})
    pq.write_table(rows, tmp_path / "metadata.parquet")
    for path in (tmp_path, tmp_path / "metadata.parquet"):
        assert zoo.by_class(open_dataset(path, split="validation")) == {"x": [], "y": ["img/a/001.png"]}


def test_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    text = "path,label\nimg/a/000.png,10\nimg/a/001.png,9\nimg/a/002.png,2\n"
    assert open_dataset(manifest(tmp_path, text)).labels.names == ("2", "9", "10")


def test_hostile_class_names_are_kept_as_they_are(tmp_path: Path) -> None:
    names = ["a/b", "../up", ".dot", "Cat", "cat", "猫", "a b", "con"]
    zoo.folder(tmp_path / "img", {"a": 8})
    rows = "".join(f"img/a/{n:03}.png,{name}\n" for n, name in enumerate(names))
    (tmp_path / "list.csv").write_text("path,label\n" + rows, encoding="utf-8")
    data = open_dataset(tmp_path / "list.csv")
    assert data.labels.names == tuple(sorted(names))
    assert [data.labels.names[sample.label] for sample in data.samples] == names


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    path = manifest(
        tmp_path,
        "path,label\nimg/a/000.png,cat\nimg/a/000.png,cat\nimg/a/001.png,cat\nimg/a/001.png,dog\n"
        "img/a/002.png,\nnowhere.png,cat\n,cat\nempty.png,dog\nimg,dog\nimg/a/003.png,dog\n",
    )
    data = open_dataset(path)
    assert [sample.id for sample in data.samples] == ["img/a/000.png", "img/a/003.png"]
    assert [(item.id, item.reason) for item in data.skipped] == [
        ("img/a/000.png", "listed twice"),
        ("img/a/001.png", "same image under two labels (cat, dog)"),
        ("img/a/001.png", "same image under two labels (cat, dog)"),
        ("img/a/002.png", "no label"),
        ("nowhere.png", "missing file"),
        ("row 7", "no path"),
        ("empty.png", "empty file"),
        ("img", "not a regular file"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "a,b\n1,2\n", r"no image path and label columns; it has a, b$"),
        ("list.csv", "path,label\n", r"no image path and label columns; it has nothing$"),
        ("list.csv", 'path,label\n"a.png,cat\n', r"after line 0: unexpected end of data$"),
        ("list.jsonl", '{"path": "a", "label": "b"}\n{oops\n', r"after line 1: "),
        ("list.csv", "path,label,class_name\na.png,0,x\nb.png,0,y\n", r"gives one label two class names"),
    ],
)
def test_broken_manifests_are_one_clear_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(manifest(tmp_path, text, name))
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_not_utf8(tmp_path: Path) -> None:
    path = manifest(tmp_path, "")
    path.write_bytes("path,label\nimg/a/000.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match="utf-8"):
        open_dataset(path)
