"""One class is one class, whatever form its name has, and its label is the number that other readers compute."""

from __future__ import annotations

import json
import tarfile
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import zoo
from imaginate.data import open_dataset
from imaginate.data.labelling import Labeller, as_line, from_line, joined_label
from imaginate.data.opening import _for_the_eye
from imaginate.errors import DataError


def nfd(name: str) -> str:
    return unicodedata.normalize("NFD", name)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_composed_and_decomposed_letters_are_one_class(kind: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set/train", {"café": 2, "thé": 2})
    zoo.folder(tmp_path / "set/val", {nfd("café"): 1, nfd("thé"): 1})
    (tmp_path / "café.yaml").write_text(f"{nfd('café')}: coffee\n", encoding="utf-8")
    data = open_dataset(zoo.packed(tmp_path / "set", kind), split="val", classes_file=tmp_path / "café.yaml")
    assert data.labels.names == ("café", "thé")
    assert data.labels.titles == ("coffee", "thé")
    assert data.counts() == {"café": 1, "thé": 1}
    assert data.notes == ("2 of 2 classes have a single image",)


def test_names_that_look_alike_are_said(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"Cat": 2, "cat": 2, "guinea_pig": 2, "Guinea pig": 2, "dog": 2})
    note = "these names are different classes, and look alike: 'Cat', 'cat'; 'Guinea pig', 'guinea_pig'"
    assert open_dataset(tmp_path).notes == (note,)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_class_folders_are_numbered_as_image_folder_numbers_them(kind: str, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    names = [str(number) for number in range(1, 13)] + ["Bee", "ant", "été"]
    zoo.folder(tmp_path / "set", dict.fromkeys(names, 1))
    found = open_dataset(zoo.packed(tmp_path / "set", kind)).labels.names
    assert {name: label for label, name in enumerate(found)} == torchvision.datasets.ImageFolder(
        tmp_path / "set"
    ).class_to_idx


def table(root: Path, labels: list[Any], kind: str, column: str = "label") -> Path:
    """Four images with these labels, as a table of one kind."""
    zoo.folder(root / "img", {"a": len(labels)})
    files = [f"img/a/{number:03}.png" for number in range(len(labels))]
    images = [{"bytes": (root / file).read_bytes(), "path": None} for file in files]
    path = root / f"list.{kind}"
    if kind == "jsonl":
        lines = [json.dumps({"file_name": file, column: value}) for file, value in zip(files, labels, strict=True)]
        path.write_text("\n".join(lines))
    elif kind == "csv":
        path.write_text(f"file_name,{column}\n" + "".join(f'{f},"{v}"\n' for f, v in zip(files, labels, strict=True)))
    elif kind == "parquet":
        pq.write_table(pa.table({"image": images, column: labels}), path)
    else:
        with tarfile.open(path, "w") as tar:
            for number, (image, value) in enumerate(zip(images, labels, strict=True)):
                facts = json.dumps({column: value}).encode()
                for name, data in ((f"{number}.png", image["bytes"]), (f"{number}.json", facts)):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, BytesIO(data))
    return path


KINDS = ("jsonl", "csv", "parquet", "tar")


@pytest.mark.parametrize("kind", KINDS)
def test_several_labels_an_image_are_one_line(kind: str, tmp_path: Path) -> None:
    labels = [["cat", "pet"], ["dog", "pet"], ["cat"], ["dog", "wild"]]
    with pytest.raises(DataError, match=r"several labels an image, as in \['cat', 'pet'\]") as caught:
        open_dataset(table(tmp_path, labels, kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_one_label_is_that_label(kind: str, tmp_path: Path) -> None:
    assert open_dataset(table(tmp_path, [["cat"], ["dog"], ["cat"]], kind)).counts() == {"cat": 2, "dog": 1}


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        ("labels", ["cat,pet", "dog,pet", "cat", "dog,wild"]),
        ("label", ["mass|nodule", "nodule", "edema|mass"]),
        ("labels", ["scab rust complex", "scab", "rust", "complex"]),
        ("tags", ["haze primary", "agriculture clear primary water", "clear primary", "cloudy"]),
        ("labels", ["haze primary", "agriculture clear primary water", "clear primary", "cloudy"]),
        ("classes", ["road water", "water road", "cloudy"]),
    ],
)
def test_lists_in_one_text_are_several_labels(column: str, labels: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="several labels an image, as in "):
        open_dataset(table(tmp_path, labels, "csv", column))


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        ("labels", ["red rose", "white rose", "dark red rose", "tulip"]),
        ("labels", ["Apple Red 1", "Apple Red Yellow 1", "Apple Golden 1", "Pear Red"]),
        ("tags", ["red rose", "white rose", "tulip"]),
        ("tag", ["clear primary", "agriculture clear primary water"]),
    ],
)
def test_classes_of_several_words_stay_classes(column: str, labels: list[str], tmp_path: Path) -> None:
    assert len(open_dataset(table(tmp_path, labels, "csv", column)).labels) == len(labels)


@pytest.mark.parametrize("gap", ["NA", "nan", "NaN", "None", "null", "N/A"])
def test_missing_values_of_r_and_pandas_are_no_classes(gap: str, tmp_path: Path) -> None:
    rows = ["img/a/000.png,oak", f"img/a/001.png,{gap}", "img/a/002.png,ash", f'img/a/003.png,"""{gap}"""']
    zoo.folder(tmp_path / "img", {"a": 4})
    (tmp_path / "list.csv").write_text("\n".join(["file_name,species", *rows]))
    data = open_dataset(tmp_path / "list.csv")
    assert set(data.labels.names) == {"oak", "ash", gap}
    assert data.reasons() == {"no label": 1}
    say = f"1 row says {gap!r} in place of a class, which is read as no label; a class of that name is written "
    assert any(note.startswith(f'{say}"""{gap}"""') for note in data.notes)


def test_a_class_called_none_stays_one_where_it_has_a_number_or_a_jsonl_says_it(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 2})
    (tmp_path / "list.csv").write_text("file_name,label,class_name\nimg/a/000.png,0,None\nimg/a/001.png,1,NA\n")
    assert open_dataset(tmp_path / "list.csv").labels.names == ("None", "NA")
    assert open_dataset(table(tmp_path / "b", ["None", "oak"], "jsonl")).labels.names == ("None", "oak")


@pytest.mark.parametrize("sign", [", ", ";", "\n"])
def test_a_list_of_names_that_are_classes_is_several_labels(sign: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has several labels an image, as in ") as caught:
        open_dataset(table(tmp_path, [f"cat{sign}dog", "cat", "dog", "dog"], "parquet"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_minus_one_is_no_label_where_labels_are_numbers_from_0(kind: str, tmp_path: Path) -> None:
    data = open_dataset(table(tmp_path / "a", [-1, 0, 1, 0], kind))
    assert (data.labels.names, dict(data.reasons())) == (("0", "1"), {"no label": 1})
    (tmp_path / "b").mkdir()
    assert set(open_dataset(table(tmp_path / "b", [-1, 1, -1, 1], kind)).labels.names) == {"-1", "1"}


@pytest.mark.parametrize(
    ("first", "second", "is_alike"),
    [("1", "01", True), ("1", "1.0", True), ("cat", "cat\u200b", True), ("a-b", "a_b", True), ("-1", "1", False),
     ("10", "1", False), ("1.5", "15", False)],
)  # fmt: skip
def test_what_the_eye_takes_for_one_name(first: str, second: str, is_alike: bool) -> None:
    assert (_for_the_eye(first) == _for_the_eye(second)) is is_alike


def test_a_comma_in_a_name_is_no_list(tmp_path: Path) -> None:
    names = ["maillot", "maillot, tank suit", "tench, Tinca tinca", "goldfish, Carassius auratus", "crane, bird"]
    assert len(open_dataset(table(tmp_path, names, "csv")).labels) == 5
    assert joined_label(["black cat", "black dog", "white cat"], is_plural=False) is None
    data = open_dataset(table(tmp_path, ["tench, fish", "crane"], "csv", "labels"))
    assert data.notes[0] == "the column 'labels' holds 'tench, fish', which is read as one class"


@pytest.mark.parametrize("values", [["1", "1.0", "2"], [1, 1.0, 2.0], ["1", 1, "2.00"], [b"1", "+1.0".strip("+"), 2]])
def test_numbers_in_different_formats_are_one_class(values: list[Any]) -> None:
    labeller = Labeller(None)
    labeller.see(values)
    assert labeller.space.names == ("1", "2")
    assert [labeller.label(value) for value in values] == [0, 0, 1]


def test_numbers_keep_what_they_say() -> None:
    labeller = Labeller(None)
    labeller.see(["0.5", 1.5, "001", "v1.0"])
    assert labeller.space.names == ("0.5", "001", "1.5", "v1.0")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_survives_a_line_of_classes_txt(name: str) -> None:
    line = as_line(name)
    assert len(f"x{line}x".splitlines()) == 1
    assert from_line(f"{line}\r\n") == name
    assert from_line(line) == name


def test_ordinary_names_are_lines_as_they_are() -> None:
    assert [as_line(name) for name in ("tiger lily", 'the "big" one', "猫", "a, b")] == [
        "tiger lily", 'the "big" one', "猫", "a, b"
    ]  # fmt: skip
    assert [as_line(name) for name in ("a\nb", " a", '"a"')] == ['"a\\nb"', '" a"', '"\\"a\\""']
    assert from_line('"not" JSON') == '"not" JSON'
