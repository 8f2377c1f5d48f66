"""The door: what a path holds, classes.yaml, runs, conflicts, and the real development datasets."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import DataSpec, Digests, conflicts, open_dataset, sha256
from imaginate.errors import DataError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: None, "there is nothing at "),
        (lambda at: at.mkdir(), "is an empty folder; supported: an image folder"),
        (lambda at: at.write_bytes(b""), "is an empty file; supported: "),
        (lambda at: at.write_text("hello " * 200), "is a file of an unknown kind; supported: "),
        (lambda at: at.symlink_to(at.name), "cannot read .*: Too many levels of symbolic links"),
        (lambda at: (at / "cat").mkdir(parents=True), "no usable image in .*; expected <class>/<image>"),
        (lambda at: zoo.folder(at, {".": 3}), "no usable image in .*: 3 not in a class folder; expected"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(make: object, message: str, tmp_path: Path) -> None:
    make(tmp_path / "x")  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_opening_is_repeatable_and_picklable(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"b": 9, "a": 5, "a/c": 1})
    data = open_dataset(DataSpec(path=str(tmp_path)), shots=3)
    assert data.labels.names == ("a", "a/c", "b")
    assert data.counts() == {"a": 3, "a/c": 1, "b": 3}
    assert data.notes == (
        "1 of 3 classes have a single image",
        "1 of 3 classes have fewer than 3 images; all of theirs are used",
    )
    again = pickle.loads(pickle.dumps(open_dataset(tmp_path, shots=3)))
    assert again == data
    assert again.image(0).equal(data.image(0))


def test_a_class_keeps_its_label_in_every_split(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "train", {"a": 2, "b": 2, "c": 2})
    zoo.folder(tmp_path / "test", {"c": 1, "d": 1})
    train, test = open_dataset(tmp_path), open_dataset(tmp_path, split="test")
    assert train.labels == test.labels
    assert [s.label for s in test.samples] == [2, 3]
    assert train.notes == ("reading split 'train', one of train, test", "1 of 4 classes have no image here")
    assert len(open_dataset(tmp_path, split="all")) == 8
    with pytest.raises(DataError, match=r"no split 'val'; there is train, test$"):
        open_dataset(tmp_path, split="val")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_splits_by_the_names_of_folders_wherever_they_are(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    zoo.folder(root / "training_set/training_set", {"cats": 2, "dogs": 2})
    zoo.folder(root / "test_set/test_set", {"cats": 1, "dogs": 1})
    data = open_dataset(zoo.packed(root, kind))
    assert (data.labels.names, data.split, data.splits, len(data)) == (("cats", "dogs"), "train", ("train", "test"), 4)
    assert data.notes == ("reading split 'train', one of train, test",)
    assert len(open_dataset(zoo.packed(root, kind), split="test_set")) == 2
    whole = open_dataset(zoo.packed(root, kind), layout="classes")
    assert whole.splits == ()
    assert len(whole.labels) == 4


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_flat_splits_are_one_line(kind: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set", {"train": 2, "test1": 1})
    place = zoo.packed(tmp_path / "set", kind)
    with pytest.raises(
        DataError, match=r"3 not in a class folder; the folders on top \(test1, train\) look like splits"
    ):
        open_dataset(place)
    assert open_dataset(place, layout="classes").counts() == {"test1": 1, "train": 2}


def test_a_choice_of_classes(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"ant": 1, "bee": 2, "cow": 3})
    data = open_dataset(tmp_path, classes=["cow", "bee"])
    assert data.counts() == {"bee": 2, "cow": 3}
    assert data.notes == ("2 of 3 classes are read, as asked",)
    with pytest.raises(DataError, match=r"has no class 'bees'; did you mean 'bee'\?"):
        open_dataset(tmp_path, classes="bees,cow")


def test_notes_are_logged_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    zoo.folder(tmp_path, {"ant": 2})
    for _ in range(2):
        assert open_dataset(tmp_path).notes == ("there is only one class, 'ant'",)
    said = [(record.name, record.getMessage()) for record in caplog.records]
    assert said == [("imaginate", f"{tmp_path}: there is only one class, 'ant'")]


CLASSES = """
domain: a photo of
classes:
  n0144:
    display: tench
    synonyms: [Tinca tinca]
    definition: a freshwater fish
    hypernym: fish
    domain: an underwater photo of
  "no": negative
  gone: nothing
"""


def test_classes_yaml(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "set", {"n0144": 1, "no": 1, "other_class": 1})
    (tmp_path / "set/classes.yaml").write_text(CLASSES)
    data = open_dataset(tmp_path / "set")
    tench, no, other = data.labels
    assert (tench.display, tench.synonyms, tench.hypernym) == ("tench", ("Tinca tinca",), "fish")
    assert (tench.definition, tench.domain, no.domain) == ("a freshwater fish", "an underwater photo of", "a photo of")
    assert (no.title, other.title) == ("negative", "other class")
    assert data.skipped == ()
    assert any("does not have: 'gone'" in note for note in data.notes)
    zoo.folder(tmp_path / "bare", {"no": 1})
    (tmp_path / "other.yaml").write_text("no: never\n")
    assert open_dataset(tmp_path / "bare", classes_file=tmp_path / "other.yaml").labels[0].display == "never"


def test_catalogue_numbers_are_no_words_and_codes_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.prompts.wordnet.is_id", lambda text: False)
    names = ["001.Black_footed_Albatross", "12_tiger_lily", "n02085620-Chihuahua", "n01440764", "7", "c1", "7up", "2.0"]
    zoo.folder(tmp_path, dict.fromkeys(names, 2))
    data = open_dataset(tmp_path)
    assert data.labels.names == tuple(sorted(names))
    assert set(data.labels.titles) == {
        "Black footed Albatross", "tiger lily", "Chihuahua", "n01440764", "7", "c1", "7up", "2.0"
    }  # fmt: skip
    assert data.notes == (
        "4 class names look like codes (2.0, 7, c1, ...): what works with text needs words, which classes.yaml gives; "
        "a pool is searched without them by --query seeds",
    )
    (tmp_path / "classes.yaml").write_text("classes: {n01440764: tench, '7': seven, c1: safe driving, '2.0': two}")
    assert open_dataset(tmp_path).notes == ()


def test_wordnet_ids_become_words_and_it_is_said(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    zoo.folder(tmp_path, {"n01440764": 2, "n02012849": 2, "n03126707": 2, "n01491361": 2})
    (tmp_path / "classes.yaml").write_text("n01491361: my shark\n")
    data = open_dataset(tmp_path)
    tench, shark, bird, machine = data.labels
    assert (tench.title, tench.synonyms, tench.wnid) == ("tench", ("Tinca tinca",), "n01440764")
    assert tench.definition.startswith("freshwater dace-like game fish")
    assert shark.title == "my shark"
    assert bird.title == "crane, large long-necked wading bird of marshes"
    assert machine.title == "crane, lifts and moves heavy objects"
    assert [note for note in data.notes if "look like codes" in note] == []
    assert data.notes[0].startswith(
        "3 classes have the words of their WordNet ids (n01440764: tench, n02012849: crane,"
    )


def test_wordnet_ids_without_a_table_are_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.prompts.wordnet.of_id", lambda text: None)
    zoo.folder(tmp_path, {"n01440764": 2, "n02012849": 2})
    first, second = open_dataset(tmp_path).notes
    assert first == 'WordNet ids have words where its files are (pip install "imaginate[guides]")'
    assert second.startswith("2 class names look like codes")


@pytest.mark.parametrize(
    ("name", "is_code"),
    [("c0", True), ("class_3", True), ("Grade 2", True), ("A", False), ("42", True), ("猫", False), ("猫1", False),
     ("a380", True), ("V8 engine", False), ("level crossing", False), ("ox", False), ("3d", False)],
)  # fmt: skip
def test_what_looks_like_a_code(name: str, is_code: bool, tmp_path: Path) -> None:
    zoo.folder(tmp_path, {name: 2, "rose": 2})
    assert any("look like codes" in note for note in open_dataset(tmp_path).notes) is is_code


def test_numbers_that_tell_classes_apart_stay(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"001.rose": 2, "002.rose": 2})
    assert open_dataset(tmp_path).labels.titles == ("001.rose", "002.rose")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "must be a mapping of class names, got list"),
        ("a: {displya: b}\n", "class 'a' has an unknown key 'displya'; did you mean 'display'"),
        ("a: [b]\n", "class 'a' must be a text or a mapping, got list"),
        ("a: {synonyms: b}\n", "synonyms must be a list of texts"),
        ("a: {b\n", "cannot read .*classes.yaml"),
        ("classes: {a: b}\ndomian: x\n", "may hold `domain` .* got domian"),
    ],
)
def test_broken_classes_yaml(text: str, message: str, tmp_path: Path) -> None:
    zoo.folder(tmp_path)
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_same_image_under_two_labels(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"cat": 3, "dog": 2, "owl": 2})
    for name in ("dog/same.png", "owl/same.png"):
        (tmp_path / name).write_bytes((tmp_path / "cat/001.png").read_bytes())
    # twice under one label is no conflict
    (tmp_path / "cat/twin.png").write_bytes((tmp_path / "cat/000.png").read_bytes())
    data = open_dataset(tmp_path)
    hashes = [sha256(sample.source.read()) for sample in data.samples]
    reason = "same image under two labels (cat, dog, owl)"
    found = dict.fromkeys(["cat/001.png", "dog/same.png", "owl/same.png"], reason)
    assert conflicts(data.samples, hashes, data.labels) == found
    # those that cannot be read have no hash, and are not alike
    assert conflicts(data.samples, [""] * len(hashes), data.labels) == {}
    digests = Digests(hashes[:-2])
    digests.append_unknown(2)
    assert (len(digests), len(set(digests))) == (len(hashes), len(set(hashes[:-2])) + 2)
    read = {sample.id for sample in data.samples[:-2]}
    assert set(conflicts(data.samples, digests, data.labels)) == read & set(found)
    assert hashes[0] == hashlib.sha256((tmp_path / "cat/twin.png").read_bytes()).hexdigest()


def test_the_package_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, imaginate.data; print([m for m in ('torch', 'numpy', 'PIL', 'pyarrow') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


REAL = [
    ("flowers102-64", "train", 1020, 102), ("flowers102-64", "val", 1020, 102), ("flowers102-64", "test", 6149, 102),
    ("breastmnist.npz", "train", 546, 2), ("breastmnist.npz", "val", 78, 2), ("breastmnist.npz", "test", 156, 2),
    ("imagenette-96.zip", "train", 1000, 10), ("imagenette-96.zip", "val", 3925, 10),
    ("caltech101-96.zip", None, 5975, 101),
    ("tiny-imagenet-64", "train", 100_000, 200), ("tiny-imagenet-64", "val", 10_000, 200),
]  # fmt: skip


@pytest.mark.parametrize(("name", "split", "count", "classes"), REAL)
def test_the_development_datasets(shared_data: Path, name: str, split: str | None, count: int, classes: int) -> None:
    data = open_dataset(shared_data / name, split=split)
    assert (len(data), len(data.labels), data.skipped) == (count, classes, ())
    assert len({sample.id for sample in data.samples}) == count
    assert all(data.counts().values())
    for index in range(0, count, count // 7):
        assert data.image(index).shape[0] == 3


def test_names_from_classes_json(shared_data: Path) -> None:
    info = open_dataset(shared_data / "tiny-imagenet-64", split="val").labels[3]
    assert (info.name, info.wnid, info.synonyms[0]) == ("tailed frog", "n01644900", "bell toad")


def test_a_long_tail_that_misses_its_ratio_says_so(tmp_path: Path) -> None:
    """The first class has fewer images than the tail begins with."""
    zoo.folder(tmp_path / "few", {"a": 27, "b": 30, "c": 24, "d": 33})
    zoo.folder(tmp_path / "same", dict.fromkeys("abcd", 33))
    few = open_dataset(str(tmp_path / "few"), imbalance=4)
    assert list(few.counts().values()) == [27, 20, 13, 8]
    expected = "of the smallest, 3.4 times fewer: the classes have too few images for 4"
    assert any(expected in note for note in few.notes)
    zoo.folder(tmp_path / "steep", {"a": 130, "b": 2})
    steep = open_dataset(str(tmp_path / "steep"), imbalance=1000)
    assert any("130.0 times fewer: the classes have too few images for 1000" in note for note in steep.notes)
    same = open_dataset(str(tmp_path / "same"), imbalance=4)
    assert any(note.endswith("33 images of the largest class, 8 of the smallest") for note in same.notes)


def test_a_slice_of_a_dataset_is_a_dataset(tmp_path: Path) -> None:
    data = open_dataset(zoo.folder(tmp_path / "set", {"a": 3, "b": 3}))
    part = data[2:5]
    assert [sample.id for sample in part.samples] == [sample.id for sample in data.samples][2:5]
    assert [label for _, label in part] == [label for _, label in data][2:5]
    assert (len(data[:0]), len(data[::2])) == (0, 3)
