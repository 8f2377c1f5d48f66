"""Manifests: columns, names, splits, and rows that cannot be used."""

from __future__ import annotations

import json
import shutil
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
        ("list.csv", "path,label\n", r"has the columns path, label, and no row$"),
        ("list.csv", 'path,label\n"a.png,cat\n', r"after line 0: unexpected end of data$"),
        ("list.jsonl", '{"path": "a", "label": "b"}\n{oops\n', r"after line 1: "),
        (
            "list.csv",
            "path,label,class_name\na.png,0,x\nb.png,0,y\n",
            r"gives one label, '0', two class names: 'x' and 'y'$",
        ),
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


@pytest.mark.parametrize(
    "columns", ["image_name,diagnosis", "id_code,diagnosis", "Image Index,Finding Labels", "image,choice"]
)
def test_columns_that_data_sets_and_tools_use(columns: str, tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, f"{columns}\nimg/a/000.png,cat\nimg/a/001.png,dog\n"))
    assert zoo.by_class(data) == {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    assert not any("column" in note for note in data.notes)


def test_columns_by_what_is_in_them(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "picture no,kind\nimg/a/000.png,cat\nimg/a/001.png,dog\n"))
    assert data.counts() == {"cat": 1, "dog": 1}
    assert data.notes[0].startswith("list.csv: the paths are read from the column 'picture no'")
    assert data.notes[1].startswith("list.csv: the classes are read from the column 'kind'")


def test_a_table_without_a_header(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "img/a/000.png,cat\nimg/a/001.png,dog\n"))
    assert data.counts() == {"cat": 1, "dog": 1}
    assert data.notes[0] == "list.csv: it has no header"


def test_a_table_of_ids_without_a_header_keeps_its_first_row(tmp_path: Path) -> None:
    data = open_dataset(manifest(tmp_path, "000,cat\n001,dog\n002,cat\n"))
    assert zoo.by_class(data) == {"cat": ["img/a/000.png", "img/a/002.png"], "dog": ["img/a/001.png"]}
    assert data.notes[:2] == (
        "list.csv: it has no header",
        "list.csv: the paths are read from column 1, the classes from column 2",
    )
    named = open_dataset(manifest(tmp_path, "cat,000\ndog,001\n"), path_column="2", label_column="1")
    assert len(named) == 2
    with pytest.raises(DataError, match="no image path and label columns; it has foo, bar"):
        open_dataset(manifest(tmp_path, "foo,bar\n1,2\n"))


def test_ids_that_a_program_wrote_with_a_fraction(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 1})
    (tmp_path / "img/a/000.png").rename(tmp_path / "img/a/12.png")
    (tmp_path / "list.csv").write_text("id,label\n12.0,cat\n")
    assert zoo.by_class(open_dataset(tmp_path / "list.csv")) == {"cat": ["img/a/12.png"]}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_the_one_table_of_images_without_class_folders_is_read(kind: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set", {"train": 2, "test": 2})
    (tmp_path / "set/train.csv").write_text("id,label\ntrain/000,cat\ntrain/001,dog\n")
    (tmp_path / "set/sample_submission.csv").write_text("id,label\ntest/000,cat\n")
    where = tmp_path / "set"
    if kind != "folder":
        where = Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "set"))
    data = open_dataset(where)
    assert zoo.by_class(data) == {"cat": ["train/000.png"], "dog": ["train/001.png"]}
    assert data.notes[0] == "the labels are read from train.csv, the only table of labels here"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_one_folder_of_images_next_to_a_table_of_classes_is_no_class(kind: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set", {"images": 4})
    table = "Filename;Diagnosis;patient_id\n000.png;Grade I;p1\n001.png;Grade II;p2\n002.png;Grade I;p1\n"
    (tmp_path / "set/annotations.csv").write_text(table, encoding="utf-8-sig")
    where = tmp_path / "set"
    if kind != "folder":
        where = Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "set"))
    data = open_dataset(where)
    assert zoo.by_class(data) == {"Grade I": ["images/000.png", "images/002.png"], "Grade II": ["images/001.png"]}
    assert data.notes[0] == "the labels are read from annotations.csv, the only table of labels here"
    assert open_dataset(where, layout="folders").counts() == {"images": 4}


def test_one_class_next_to_another_table_stays_one_class(tmp_path: Path) -> None:
    """A table of few of the images, of other files, or of one class, takes nothing over."""
    zoo.folder(tmp_path, {"cat": 4})
    for text in ("id,label\n000.png,cat\n001.png,dog\n", "id,label\nx.png,a\ny.png,b\n", "id,label\n000.png,tom\n"):
        (tmp_path / "labels.csv").write_text(text)
        assert open_dataset(tmp_path).counts() == {"cat": 4}


def test_columns_as_asked(tmp_path: Path) -> None:
    text = "scan,grader,file_name,label\nimg/a/000.png,cat,x,1\nimg/a/001.png,dog,y,1\n"
    data = open_dataset(manifest(tmp_path, text), path_column="Scan", label_column="grader")
    assert data.counts() == {"cat": 1, "dog": 1}
    with pytest.raises(DataError, match=r"has no column 'grade' \(--label-column\); did you mean 'grader'\?"):
        open_dataset(tmp_path / "list.csv", label_column="grade")
    data = open_dataset(
        manifest(tmp_path, "x,img/a/000.png,cat\ny,img/a/001.png,dog\n"), path_column="2", label_column="3"
    )
    assert data.counts() == {"cat": 1, "dog": 1}


def test_what_cannot_be_read_names_the_known_columns_and_the_flags(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"needs --path-column and --label-column \(file_name, .*label, labels, class, "
    ):
        open_dataset(manifest(tmp_path, "a,b\n1,2\n"))


def test_columns_of_marks(tmp_path: Path) -> None:
    data = open_dataset(
        manifest(tmp_path, "filename, cat, dog\nimg/a/000.png,1,0\nimg/a/001.png,0.0,1.0\nimg/a/002.png,0,0\n")
    )
    assert zoo.by_class(data) == {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    assert [(item.id, item.reason) for item in data.skipped] == [("img/a/002.png", "no label")]
    with pytest.raises(DataError, match=r"several labels an image, as in \['cat', 'dog'\]"):
        open_dataset(manifest(tmp_path, "filename,cat,dog\nimg/a/000.png,1,1\nimg/a/001.png,0,1\n"))


def test_ids_without_extension_and_paths_of_another_computer(tmp_path: Path) -> None:
    expected = {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    ids = open_dataset(manifest(tmp_path, "id,label\n000,cat\n001,dog\n"))
    assert zoo.by_class(ids) == expected
    windows = open_dataset(manifest(tmp_path, "path,label\nimg\\a\\000.png,cat\nimg\\a\\001.png,dog\n"))
    assert zoo.by_class(windows) == expected
    assert ids.notes[0].endswith("/000 is read as img/a/000.png")
    assert not any("other places" in note for note in windows.notes)
    rows = "C:\\Users\\me\\img\\a\\000.png,cat\nC:\\Users\\me\\img\\a\\001.PNG,dog\n"
    far = open_dataset(manifest(tmp_path, "path,label\n" + rows))
    assert zoo.by_class(far) == expected
    assert any("C:\\Users\\me\\img\\a\\000.png is read as img/a/000.png" in note for note in far.notes)


def test_the_tables_own_split_decides_between_files_of_one_name(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"train_images": 2, "test_images": 2})
    (tmp_path / "train.csv").write_text("id_code,diagnosis\n000,0\n001,1\n")
    (tmp_path / "list.csv").write_text("id_code,diagnosis\n000,0\n001,1\n")
    assert [s.id for s in open_dataset(tmp_path / "train.csv").samples] == [
        "train_images/000.png",
        "train_images/001.png",
    ]
    with pytest.raises(DataError, match="2 several files of this name"):
        open_dataset(tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"look like splits.*; the labels may be in train.csv: give that table"):
        open_dataset(tmp_path)


def test_a_missing_file_is_shown_with_the_place_that_was_tried(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"2 rows name a missing file; the first, x/1.png, was looked for at .*/x/1.png and"
    ):
        open_dataset(manifest(tmp_path, "path,label\nx/1.png,cat\nx/2.png,dog\n"))


def test_excels_own_csv(tmp_path: Path) -> None:
    expected = {"cat": ["img/a/000.png"], "dog": ["img/a/001.png"]}
    path = manifest(tmp_path, "")
    path.write_bytes("sep=;\r\nfile_name;label\r\nimg/a/000.png;cat\r\nimg/a/001.png;dog\r\n".encode("utf-8-sig"))
    assert zoo.by_class(open_dataset(path)) == expected
    path.write_bytes("file_name\tlabel\r\nimg/a/000.png\tcat\r\nimg/a/001.png\tdog\r\n".encode("utf-16"))
    assert zoo.by_class(open_dataset(path)) == expected
    path.write_bytes("file_name;label\nimg/a/000.png;caf\xe9\n".encode("cp1252"))
    assert open_dataset(path, encoding="cp1252").labels.names == ("café",)
    with pytest.raises(DataError, match="can be named with --encoding"):
        open_dataset(path)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "_classes.csv"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "wrapped"])
def test_a_table_in_each_split_folder(kind: str, name: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    top = root / "inner" if kind == "wrapped" else root
    for split, count in (("train", 4), ("test", 2)):
        zoo.folder(top / split, {"images": count})
        rows = [(f"images/{number:03}.png", ("cat", "dog")[number % 2]) for number in range(count)]
        if name == "_classes.csv":
            lines = ["filename,cat,dog", *(f"{path},{int(c == 'cat')},{int(c == 'dog')}" for path, c in rows)]
        elif name.endswith("jsonl"):
            lines = [json.dumps({"file_name": path, "label": c}) for path, c in rows]
        else:
            lines = ["file_name,label", *(f"{path},{c}" for path, c in rows)]
        (top / split / name).write_text("\n".join(lines))
    place = root if kind in ("folder", "wrapped") else zoo.packed(root, kind)
    data = open_dataset(place)
    assert (data.split, data.splits, data.counts()) == ("train", ("train", "test"), {"cat": 2, "dog": 2})
    prefix = "inner/" if kind == "wrapped" else ""
    assert [s.id for s in open_dataset(place, split="test").samples] == [
        f"{prefix}test/images/{n:03}.png" for n in (0, 1)
    ]
    assert len(verify(data)) == 4
    if kind == "folder":
        assert open_dataset(place, layout="classes", split="all").labels.names == ("test/images", "train/images")


PROTOCOLS = ["reference://a.png::file:///x.json", "memory://b.png", "file:///etc/passwd", "github://me:r@main/a.png"]


def test_rows_name_files_and_stores_alone(tmp_path: Path) -> None:
    rows = "".join(f"{url},dog\n" for url in PROTOCOLS)
    data = open_dataset(
        manifest(tmp_path, f"path,label\nimg/a/000.png,cat\nfile://{tmp_path}/img/a/001.png,cat\n{rows}")
    )
    assert len(verify(data)) == 2
    assert dict(data.reasons()) == {"protocol not allowed": 3, "outside the folder of the table": 1}
    for url in ("reference://a::file:///x.json", "github://me:r@main/a.csv", "simplecache::s3://b/a.csv"):
        with pytest.raises(DataError, match="protocol not allowed"):
            open_dataset(url)


def test_local_files_of_label_studio_are_found(tmp_path: Path) -> None:
    (tmp_path / "big cats").mkdir()
    for number in (1, 2):
        (tmp_path / "big cats" / f"{number}.png").write_bytes(zoo.png(number))
    lines = ["image,id,choice", *(f"/data/local-files/?d=big%20cats/{n}.png,{n},kind {n}" for n in (1, 2))]
    (tmp_path / "export.csv").write_text("\n".join(lines))
    assert open_dataset(tmp_path / "export.csv").counts() == {"kind 1": 1, "kind 2": 1}


@pytest.mark.parametrize(
    "head", ["path,label,label", "path,path,label", 'path,label,"label"', "path,label,split,split"]
)
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, head: str) -> None:
    """A row of such a table has the value of the last one alone, so that all classes could become one."""
    row = ",".join(
        [
            "img/a/000.png" if name == "path" else "train" if name == "split" else "cat"
            for name in ("path", *head.split(",")[1:])
        ]
    )
    file = manifest(tmp_path, f"{head}\n{row}\n")
    with pytest.raises(
        DataError, match=r"has 2 columns of the name '(label|path|split)': rename or remove all but one"
    ):
        open_dataset(str(file))
    twice = pa.Table.from_arrays(
        [pa.array(["img/a/000.png"])] + [pa.array(["cat"])] * 2, names=["path", "label", "label"]
    )
    pq.write_table(twice, tmp_path / "list.parquet")
    with pytest.raises(DataError, match="has 2 columns of the name 'label'"):
        open_dataset(str(tmp_path / "list.parquet"))


def test_a_column_that_nobody_reads_may_be_there_twice(tmp_path: Path) -> None:
    file = manifest(tmp_path, "path,label,note,note\nimg/a/000.png,cat,1,2\nimg/a/001.png,dog,1,2\n")
    assert open_dataset(str(file)).labels.names == ("cat", "dog")


def test_rows_without_a_split_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"img/a/00{n}.png,{'cat' if n % 2 else 'dog'},{'train' if n < 2 else ''}\n" for n in range(4))
    file = str(manifest(tmp_path, "path,label,split\n" + rows))
    data = open_dataset(file)
    assert len(data) == 2
    assert "2 images are in no split, and not read; --split all reads every image" in data.notes
    assert len(open_dataset(file, split="all")) == 4
    assert not any("in no split" in note for note in open_dataset(file, split="train").notes)


def test_a_file_is_listed_once_however_its_path_is_written(tmp_path: Path) -> None:
    whole = f"{tmp_path}/img/a/001.png"
    again = ("./img/a/000.png", "img//a/000.png", "img/a/../a/000.png", whole, "img/a/001.png")
    rows = "".join(f"{path},cat\n" for path in ("img/a/000.png", *again))
    data = open_dataset(manifest(tmp_path, f"path,label\n{rows}"))
    assert [sample.id for sample in data.samples] == ["img/a/000.png", "img/a/001.png"]
    assert data.reasons() == {"listed twice": 4}


def test_images_of_a_store_that_were_copied_next_to_the_table_are_read_here(tmp_path: Path) -> None:
    rows = "".join(f"TRAIN,gs://some-bucket/data/img/a/{n:03}.png,cat\n" for n in range(3))
    data = open_dataset(manifest(tmp_path, rows), path_column="2", label_column="3")
    assert [sample.id for sample in data.samples] == [f"img/a/{n:03}.png" for n in range(3)]
    assert any("gs://some-bucket/data/img/a/000.png is read as img/a/000.png" in note for note in data.notes)


def test_a_bare_name_is_the_image_and_not_its_mask(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set" / "images", {"": 3})
    zoo.folder(tmp_path / "set" / "masks", {"": 3})
    (tmp_path / "set/list.csv").write_text("image,label\n000.png,cat\n001.png,dog\n002.png,cat\n")
    data = open_dataset(tmp_path / "set/list.csv")
    assert [sample.id for sample in data.samples] == ["images/000.png", "images/001.png", "images/002.png"]


def test_an_image_of_two_patients_is_on_no_side(tmp_path: Path) -> None:
    rows = ("000.png,cat,7", "000.png,cat,8", "000.png,cat,7.0", "001.png,cat,7", "001.png,cat,7.0", "002.png,cat,")
    text = "\n".join(["path,label,patient", *(f"img/a/{row}" for row in rows)])
    data = open_dataset(manifest(tmp_path, text), group_column="patient")
    assert [(sample.id, dict(sample.meta)) for sample in data.samples] == [
        ("img/a/001.png", {"group": "7"}), ("img/a/002.png", {})
    ]  # fmt: skip
    assert data.reasons() == {"same image in two groups (7, 8)": 3, "listed twice": 1}


@pytest.mark.parametrize("order", [1, -1])
def test_a_line_of_a_jsonl_that_lacks_a_key_takes_it_from_no_other(order: int, tmp_path: Path) -> None:
    """The splits of the others would be lost, and with them which images are held out."""
    rows = [{"path": f"{n}.png", "label": "ab"[n % 2], "split": "train" if n < 4 else "test"} for n in range(6)]
    for n, row in enumerate(rows):
        (tmp_path / str(row["path"])).write_bytes(zoo.png(n))
    del rows[0]["split"]
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps(row) for row in rows[::order]))
    data = open_dataset(tmp_path / "list.jsonl")
    assert (data.split, data.splits, len(data.samples)) == ("train", ("train", "test"), 3)
    assert "1 image is in no split" in " ".join(data.notes)


SPLIT_COLUMNS = {
    "data set": ("train", "valid", "test"),
    "dataset": ("Training", "Validation", "Testing"),
    "phase": ("train", "dev", "test"),
    "ml_use": ("TRAIN", "VALIDATION", "TEST"),
    "Usage": ("Training", "valid", "PublicTest"),
    "Split Set": ("train", "val", "holdout"),
    "type": ("train", "val", "test"),
    "whatever": ("train_set", "val", "test"),
    "is_valid": ("False", "True", "False"),
    "is_train": ("1", "0", "0"),
    "is_test": ("FALSE", "FALSE", "TRUE"),
}


@pytest.mark.parametrize("column", SPLIT_COLUMNS)
def test_a_split_column_is_read_whatever_it_is_called(column: str, tmp_path: Path) -> None:
    values = SPLIT_COLUMNS[column]
    rows = "".join(f"img/a/00{n}.png,{'xy'[n % 2]},{values[min(n, 2)]}\n" for n in range(3))
    path = manifest(tmp_path, f"file_name,label,{column}\n{rows}")
    data = open_dataset(path)
    assert all(sample.split == "train" for sample in data.samples)
    assert 0 < len(data.samples) < len(open_dataset(path, split="all").samples) == 3
    assert any(f"the splits are read from the column {column!r}" in note for note in data.notes)


def test_several_columns_that_say_yes_or_no_are_one_split(tmp_path: Path) -> None:
    text = "file_name,label,is_train,is_val\nimg/a/000.png,x,1,0\nimg/a/001.png,y,0,1\nimg/a/002.png,y,0,0\n"
    data = open_dataset(manifest(tmp_path, text), split="all")
    assert [sample.split for sample in data.samples] == ["train", "validation", "test"]


@pytest.mark.parametrize("head", ["file_name,label", "file_name,class", "file_name,species"])
def test_classes_that_are_called_like_splits_stay_classes(head: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"train": 2, "test": 2})
    rows = "".join(f"{of}/00{n}.png,{of}\n" for of in ("train", "test") for n in range(2))
    (tmp_path / "list.csv").write_text(f"{head}\n{rows}")
    data = open_dataset(tmp_path / "list.csv")
    assert zoo.by_class(data) == {of: [f"{of}/000.png", f"{of}/001.png"] for of in ("test", "train")}
    assert data.splits == ()


def test_a_column_of_splits_is_never_the_class(tmp_path: Path) -> None:
    path = manifest(tmp_path, "file_name,phase\nimg/a/000.png,train\nimg/a/001.png,test\n")
    with pytest.raises(DataError, match="needs --path-column and --label-column"):
        open_dataset(path)
    asked = open_dataset(path, label_column="phase")
    assert (asked.labels.names, asked.splits) == (("test", "train"), ())


def test_a_sorted_table_is_read_to_its_end_for_its_splits(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 80})
    rows = "".join(f"img/a/{n:03}.png,{'xy'[n % 2]},{'train' if n < 70 else 'test'}\n" for n in range(80))
    (tmp_path / "list.csv").write_text(f"file_name,label,kind\n{rows}")
    assert len(open_dataset(tmp_path / "list.csv").samples) == 70


@pytest.mark.parametrize("form", ["{split}/{of}/{n:03}.png", "{of}/{split}/{n:03}.png", "cars_{split}/{of}_{n}.png"])
def test_the_folders_of_the_paths_say_the_split_where_no_column_does(form: str, tmp_path: Path) -> None:
    rows = []
    for of, split, n in [(of, split, n) for of in ("cat", "dog") for split in ("train", "test") for n in range(2)]:
        path = tmp_path / form.format(of=of, split=split, n=n)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zoo.png(n + 10 * len(rows)))
        rows.append(f"{path.relative_to(tmp_path)},{of}\n")
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows))
    data = open_dataset(tmp_path / "list.csv")
    assert (data.splits, data.split, data.counts()) == (("train", "test"), "train", {"cat": 2, "dog": 2})
    assert any("the splits are read from the folders of the paths (train, test)" in note for note in data.notes)


@pytest.mark.parametrize("asked", [{}, {"path_column": "2", "label_column": "3"}])
def test_a_table_of_automl_has_no_header_and_begins_with_the_split(asked: dict[str, str], tmp_path: Path) -> None:
    rows = ("TRAIN,img/a/000.png,x", "TRAIN,img/a/001.png,y", "TEST,img/a/002.png,x", "UNASSIGNED,img/a/003.png,y")
    data = open_dataset(manifest(tmp_path, "\n".join(rows)), **asked)
    assert zoo.by_class(data) == {"x": ["img/a/000.png"], "y": ["img/a/001.png"]}


def packed(root: Path, kind: str, at: Path) -> Path:
    return root if kind == "folder" else Path(shutil.make_archive(str(at / "packed"), kind, root))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("column", ["text", "type", "tags", "name", "width"])
def test_class_folders_win_against_a_column_that_is_only_guessed(column: str, kind: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set/train", {"cat": 4, "dog": 4})
    rows = "".join(f"{of}/00{n}.png,{(11, 22)[n % 2]}\n" for of in ("cat", "dog") for n in range(4))
    (tmp_path / "set/train/metadata.csv").write_text(f"file_name,{column}\n{rows}")
    where = packed(tmp_path / "set", kind, tmp_path)
    data = open_dataset(where)
    assert (data.counts(), data.split) == ({"cat": 4, "dog": 4}, "train")
    assert any(f"its column {column!r} is not read as classes" in note for note in data.notes)
    assert not any("looks like labels" in note for note in data.notes)
    asked = open_dataset(where, label_column=column)
    assert asked.counts() == {"11": 4, "22": 4}
    assert any("the folders of the images (cat, dog) say otherwise" in note for note in asked.notes)


def test_a_guessed_column_is_read_where_it_says_what_the_folders_say_or_there_are_none(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "a", {"n01": 2, "n02": 2})
    rows = "".join(
        f"{of}/00{n}.png,{(of == 'n01' and 'tench') or 'goldfish'}\n" for of in ("n01", "n02") for n in (0, 1)
    )
    (tmp_path / "a/metadata.csv").write_text(f"file_name,type\n{rows}")
    assert open_dataset(tmp_path / "a").counts() == {"goldfish": 2, "tench": 2}
    zoo.folder(tmp_path / "b", {"images_1": 2, "images_2": 2})
    (tmp_path / "b/metadata.csv").write_text(f"file_name,type\n{rows.replace('n0', 'images_')}")
    assert len(open_dataset(tmp_path / "b").labels) == 2


def test_a_column_that_is_called_label_wins_and_the_folders_are_named(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"photo": 2, "drawing": 2})
    rows = "".join(f"{of}/00{n}.png,{('cat', 'dog')[n]}\n" for of in ("photo", "drawing") for n in (0, 1))
    (tmp_path / "metadata.csv").write_text(f"file_name,label\n{rows}")
    data = open_dataset(tmp_path)
    assert data.counts() == {"cat": 2, "dog": 2}
    assert any("the folders of the images (drawing, photo) say otherwise" in note for note in data.notes)


def test_captions_are_never_classes_by_a_guess(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "img", {"a": 60})
    rows = [f"img/a/{n:03}.png,a caption of number {n}\n" for n in range(60)]
    (tmp_path / "list.csv").write_text("file_name,text\n" + "".join(rows))
    with pytest.raises(DataError, match="'text' has another value in nearly every row, as captions do"):
        open_dataset(tmp_path / "list.csv")
    assert len(open_dataset(tmp_path / "list.csv", label_column="text").labels) == 60
    few = [f"img/a/{n:03}.png,class number {n % 40}\n" for n in range(60)]
    (tmp_path / "list.csv").write_text("file_name,text\n" + "".join(few))
    assert len(open_dataset(tmp_path / "list.csv").labels) == 40


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("tops", ["HAM10000_images_part_{}", "images_00{}/images", "patient_{}"])
def test_one_table_names_the_images_of_several_folders_that_are_parts(tops: str, kind: str, tmp_path: Path) -> None:
    rows = []
    for n in range(12):
        path = tmp_path / "set" / tops.format(1 + n // 6) / f"ISIC_{n:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zoo.png(n))
        rows.append(f"HAM_{n // 2},ISIC_{n:03},{('bkl', 'nv', 'mel')[n % 3]},histo\n")
    (tmp_path / "set/HAM10000_metadata.csv").write_text("lesion_id,image_id,dx,dx_type\n" + "".join(rows))
    (tmp_path / "set/boxes.csv").write_text("image_id,label\nISIC_000,x\nISIC_001,y\n")
    where = packed(tmp_path / "set", kind, tmp_path)
    data = open_dataset(where)
    assert data.counts() == {"bkl": 4, "mel": 4, "nv": 4}
    assert "are not read as classes; --layout folders reads them so" in data.notes[0]
    assert len(open_dataset(where, layout="folders").labels) == 2


@pytest.mark.parametrize(
    "text", ["id,label\n000,x\n", "id,type\n000,x\n001,y\n", "id,label\ncat/000,cat\ncat/001,cat\ndog/000,dog\n"]
)
def test_true_class_folders_stay_classes_next_to_another_table(text: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"cat": 2, "dog": 2})
    (tmp_path / "about.csv").write_text(text)
    assert open_dataset(tmp_path).counts() == {"cat": 2, "dog": 2}


def test_a_table_of_training_labels_names_images_of_the_training_folder_alone(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 8)):
        (tmp_path / split).mkdir()
        for n in range(count):
            (tmp_path / split / f"{n}.png").write_bytes(zoo.png(n + 10 * len(split)))
    rows = "".join(f"{n},{('cat', 'dog')[n % 2]}\n" for n in range(8))
    (tmp_path / "trainLabels.csv").write_text(f"id,label\n{rows}")
    (tmp_path / "sampleSubmission.csv").write_text("id,label\n1,cat\n")
    for where in (tmp_path, tmp_path / "trainLabels.csv", packed(tmp_path, "zip", tmp_path.parent)):
        data = open_dataset(where)
        assert {sample.id for sample in data.samples} == {f"train/{n}.png" for n in range(6)}
        assert data.reasons() == {"missing file": 2}


def test_advice_names_the_table_of_training_and_never_a_form_of_answers(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for n in range(8):
            (tmp_path / split / f"{('cat', 'dog')[n % 2]}.{n}.jpg").write_bytes(zoo.jpeg(n))
    (tmp_path / "sampleSubmission.csv").write_text("id,label\n1,0\n")
    names = (
        r"classes seem to be in the names of the files \(cat\.0\.jpg, dog\.1\.jpg\): write a table of file_name,label"
    )
    with pytest.raises(DataError, match=names) as caught:
        open_dataset(tmp_path)
    assert "Submission" not in str(caught.value)
    for name in ("a_test.csv", "test.csv", "train.csv"):
        (tmp_path / name).write_text("filename,class\ncat.0.jpg,cat\n")
    with pytest.raises(DataError, match=r"the labels may be in train\.csv: give that table"):
        open_dataset(tmp_path)
