"""Class and split from the path alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.data import splits
from imaginate.data.layout import EXTRA, NO_CLASS, OUTSIDE, arrange, arranged
from imaginate.data.leftovers import APART, SECOND, STRAY
from imaginate.errors import DataError

CASES = {
    "flat": {"cat/1.png": ("cat", None), "dog/1.png": ("dog", None)},
    "wrapper": {"set-96/cat/1.png": ("cat", None), "set-96/dog/1.png": ("dog", None)},
    "two wrappers": {"a/b/cat/1.png": ("cat", None), "a/b/dog/1.png": ("dog", None)},
    "one class": {"cat/1.png": ("cat", None), "cat/2.png": ("cat", None)},
    "nested": {"pets/cat/1.png": ("pets/cat", None), "pets/1.png": ("pets", None), "car/1.png": ("car", None)},
    "splits": {"train/cat/1.png": ("cat", "train"), "val/cat/1.png": ("cat", "validation")},
    "wrapped splits": {"s/Train/cat/1.png": ("cat", "train"), "s/TEST/cat/1.png": ("cat", "test")},
    "one split": {"train/cat/1.png": ("cat", "train"), "train/dog/1.png": ("dog", "train")},
    "nested in splits": {"train/pets/cat/1.png": ("pets/cat", "train"), "dev/car/1.png": ("car", "validation")},
    "apart the splits": {
        "train/cat/1.png": ("cat", "train"), "val/cat/1.png": ("cat", "validation"), "extra/cat/1.png": ("", OUTSIDE),
        "sample.png": ("", NO_CLASS),
    },
    "a class called train": {"train/1.png": ("train", None), "plane/1.png": ("plane", None)},
    "classes called train and test": {"train/old/1.png": ("train/old", None), "plane/jet/1.png": ("plane/jet", None)},
    "splits without classes": {"train/1.png": ("", NO_CLASS), "test/1.png": ("", NO_CLASS)},
    "no folders": {"1.png": ("", NO_CLASS), "2.png": ("", NO_CLASS)},
    "leading dots, any script": {".net/1.png": (".net", None), "猫/1.png": ("猫", None), "..a/1.png": ("..a", None)},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_arrange(case: dict[str, tuple[str, str | None]]) -> None:
    assert dict(zip(case, arrange(list(case)), strict=True)) == case


# Trees as publishers pack them: (layout of the tree, what each path becomes).
PUBLISHED = {
    "training_set, test_set": {
        "training_set/cats/1.png": ("cats", "train"), "test_set/cats/1.png": ("cats", "test"),
    },
    "the split twice": {
        "seg_train/seg_train/cats/1.png": ("cats", "train"), "seg_train/seg_train/dogs/1.png": ("dogs", "train"),
        "seg_test/seg_test/cats/1.png": ("cats", "test"), "seg_pred/seg_pred/1.png": ("", NO_CLASS),
    },
    "a family of names": {
        "cars_train/audi/1.png": ("audi", "train"), "cars_train/bmw/1.png": ("bmw", "train"),
        "cars_test/audi/1.png": ("audi", "test"),
    },
    "capitals and numbers": {
        "Train Images/a/1.png": ("a", "train"), "ValidationSet/a/1.png": ("a", "validation"),
        "test1/a/1.png": ("a", "test"), "Hold-Out/a/1.png": ("a", "holdout"),
    },
    "folds": {"fold_1/a/1.png": ("a", "fold1"), "fold_2/a/1.png": ("a", "fold2")},
    "splits below the classes": {
        "cats/train/1.png": ("cats", "train"), "cats/test/1.png": ("cats", "test"),
        "dogs/train/1.png": ("dogs", "train"), "dogs/test/1.png": ("dogs", "test"),
    },
    "splits deep below the classes": {
        "pets/cats/Training/1.png": ("pets/cats", "train"), "cars/audi/Validation/1.png": ("cars/audi", "validation"),
    },
    "images inside the splits": {
        "train/images/cat/1.png": ("cat", "train"), "val/images/cat/1.png": ("cat", "validation"),
    },
    "images inside the classes": {
        "train/n01/images/1.png": ("n01", "train"), "train/n02/images/1.png": ("n02", "train"),
        "val/images/1.png": ("", NO_CLASS),
    },
    "a repository": {
        "docs/screenshot.png": ("", EXTRA), "logo.png": ("", NO_CLASS),
        "data/train/cat/1.png": ("cat", "train"), "data/test/cat/1.png": ("cat", "test"),
    },
    "train and a copy of it": {
        "train/cat/1.png": ("cat", "train"), "train/dog/1.png": ("dog", "train"),
        "backup/cat/1.png": ("cat", "backup"), "backup/dog/1.png": ("dog", "backup"),
    },
    "train and unlabelled images": {"train/cat/1.png": ("cat", "train"), "unlabeled/1.png": ("", NO_CLASS)},
    "flat splits": {"train/cat.1.png": ("", NO_CLASS), "test1/1.png": ("", NO_CLASS)},
    "one flat split": {"train/cat.1.png": ("", NO_CLASS), "train/dog.1.png": ("", NO_CLASS)},
    "classes with such words": {
        "valid/1.png": ("valid", None), "invalid/1.png": ("invalid", None), "steam train/1.png": ("steam train", None),
        "dev-board/1.png": ("dev-board", None), "test tube/1.png": ("test tube", None),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_arrange_published_trees(case: dict[str, tuple[str, str | None]]) -> None:
    assert dict(zip(case, arrange(list(case)), strict=True)) == case
    wrapped = [f"archive-main/{path}" for path in case if path.count("/") > 0]
    expected = [row for path, row in case.items() if path.count("/") > 0]
    assert arrange(wrapped) == expected


def test_screenshots_are_left_out_of_a_repository_and_said() -> None:
    paths = ["cats/1.png", "dogs/1.png", "screenshots/page.png"]
    assert [name for name, _ in arrange(paths)] == ["cats", "dogs", "screenshots"]
    found = arranged(paths, others=["README.md", "cats/notes.txt"])
    assert found.rows == [("cats", None), ("dogs", None), ("", EXTRA)]
    assert found.notes == ("the pictures in screenshots are left out",)


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["cat/0.png", "dog/0.png", "output/cat/1.png", "output/dog/1.png"], "output"),
        (["x/train/a/0.png", "x/train/b/0.png", "x/train/more/a/1.png", "x/train/more/b/1.png", "x/test/a/2.png",
          "x/test/b/2.png"], "more"),
        (["s/cat/0.png", "s/dog/0.png", "s/new/cat/1.png", "s/new/dog/1.png", "t/cat/0.png"], "s/new"),
    ],
)  # fmt: skip
def test_a_second_tree_of_the_same_classes_is_left_out_and_said(paths: list[str], left: str) -> None:
    found = arranged(paths)
    inside = [f"/{left}/" in f"/{path}" for path in paths]
    assert [row == ("", SECOND) for row in found.rows] == inside
    assert any(f"{left}' holds folders of the same names" in note for note in found.notes)
    assert all(SECOND not in row for row in arrange(paths, layout="classes"))


def published(*folders: str) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(4)]


@pytest.mark.parametrize(
    ("paths", "expected", "words"),
    [
        (
            published("O /train/a", "O /train/b", "O /test/a", "o/O /train/a", "o/O /train/b", "o/O /test/a"),
            {("a", "train"), ("b", "train"), ("a", "test"), ("", SECOND)}, "the folder 'o' holds folders",
        ),
        (
            published("A(x)/train/a", "A(x)/train/b", "a(X)/train/a", "a(X)/train/b", "test/test"),
            {("a", "train"), ("b", "train"), ("", SECOND), ("", APART)}, "is 'A(x)' again but for its case",
        ),
        (
            published("lung set/lung set/good", "lung set/lung set/bad", "Test cases"),
            {("good", None), ("bad", None), ("", APART)}, "the pictures in Test cases are left out",
        ),
        (published("Train/0", "Train/1", "Test", "Meta"), {("0", "train"), ("1", "train"), ("", APART)}, "Meta, Test"),
        (["w/pets/over.png", *published("w/pets/cat", "w/pets/dog")], {("cat", None), ("dog", None), ("", STRAY)}, ""),
    ],
)  # fmt: skip
def test_what_archives_hold_besides_their_classes_is_left_out(
    paths: list[str], expected: set[tuple[str, str | None]], words: str
) -> None:
    found = arranged(paths)
    assert set(found.rows) == expected
    assert any(words in note for note in found.notes) or not words


def test_parts_of_one_dataset_are_named_also_with_a_folder_between() -> None:
    found = arranged(published("amazon/images/mug", "amazon/images/pen", "webcam/images/mug", "webcam/images/pen"))
    assert [name for name, _ in found.rows[::4]] == ["amazon/mug", "amazon/pen", "webcam/mug", "webcam/pen"]
    assert "hold folders of the same names (mug, pen)" in found.notes[0]


def test_splits_that_are_read_as_classes_are_named() -> None:
    apart = published("a/a/train/x", "a/a/train/y", "a/a/test/x", "b/b/x", "b/b/y")
    assert "the folders test, train in a/a are named like splits" in arranged(apart).notes[-1]
    folds = published(*(f"fold{n}/{part}/{name}" for n in (1, 2) for part in ("train", "test") for name in "xy"))
    assert "the folders test, train in fold1, fold2 are named like splits" in arranged(folds).notes[-1]
    assert not arranged(published("train/x", "train/y", "test/x")).notes


@pytest.mark.parametrize(
    "paths",
    [
        published("animals/cat", "animals/dog", "plants"),
        published("pets", "pets/cat", "pets/dog"),
        ["cat/0.png", "dog/0.png", "more/cat/1.png", "more/owl/1.png"],
        ["cat/0.png", "dog/0.png", "cat/tabby/1.png", "dog/tabby/1.png"],
        ["left/a/0.png", "left/b/0.png", "right/a/0.png", "right/b/0.png"],
        ["a/0.png", "b/a/1.png"],
    ],
)
def test_other_trees_are_no_second_ones(paths: list[str]) -> None:
    assert all(name for name, _ in arrange(paths))


def test_a_class_without_the_splits_of_the_others_is_said() -> None:
    paths = [f"{name}/{split}/1.png" for name in ("cats", "dogs") for split in ("train", "test")]
    found = arranged([*paths, "owls/1.png"])
    assert found.rows == [("cats", "train"), ("cats", "test"), ("dogs", "train"), ("dogs", "test"), ("", OUTSIDE)]
    assert found.notes == ("the images of owls are in no split folder, and are left out",)
    few = arrange(["cats/train/1.png", "cats/test/1.png", "dogs/1.png", "owls/1.png"])
    assert few == [("cats/train", None), ("cats/test", None), ("dogs", None), ("owls", None)]


def test_flat_splits_are_named() -> None:
    problem = arranged(["train/1.png", "test1/1.png"]).problem
    assert problem.startswith("the folders on top (test1, train) look like splits, and there are no class folders")
    assert "--layout classes" in problem


def test_the_layout_can_be_said() -> None:
    paths = ["train/a/1.png", "test/a/1.png"]
    assert arrange(paths, "classes") == [("train/a", None), ("test/a", None)]
    assert arrange(["train/1.png", "test/1.png"], "classes") == [("train", None), ("test", None)]
    parts = ["batch1/a/1.png", "batch1/b/1.png", "batch2/a/1.png", "batch2/b/1.png"]
    assert [name for name, _ in arrange(parts)] == ["batch1/a", "batch1/b", "batch2/a", "batch2/b"]
    assert "--layout splits" in arranged(parts).notes[0]
    assert arrange(parts, "splits") == [("a", "batch1"), ("b", "batch1"), ("a", "batch2"), ("b", "batch2")]


NAMES = st.sampled_from(["cat", "dog", "train", "val", "a", "b"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map(lambda part: "/".join([*part, "x.png"])), min_size=1)


@settings(deadline=None, max_examples=50)
@given(PATHS, st.randoms())
def test_arrange_is_blind_to_order_and_to_a_wrapper(paths: list[str], chance: object) -> None:
    before = dict(zip(paths, arrange(paths), strict=True))
    turned = list(paths)
    chance.shuffle(turned)  # type: ignore[attr-defined]
    assert dict(zip(turned, arrange(turned), strict=True)) == before
    wrapped = [f"wrapper/{path}" for path in paths]
    if all(path.count("/") >= 2 for path in wrapped):
        assert dict(zip(paths, arrange(wrapped), strict=True)) == before


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("train", "train"), ("train-00000-of-00004", "train"), ("val_003", "validation"),
        ("Valid-000001", "validation"), ("training", "train"),
        ("my-data-test-00001-of-00002", "test"), ("test.clean", "test"), ("data-00000-of-00001", None),
        ("retrain", None), ("0000", None),
    ],
)  # fmt: skip
def test_split_in_a_file_name(stem: str, split: str | None) -> None:
    assert splits.of_file(stem) == split


def test_choice_of_split() -> None:
    there = ("train", "validation")
    assert splits.choose(there, None) == "train"
    assert splits.choose(("a", "b"), None) is None
    assert {splits.choose(there, name) for name in ("val", "valid", "Validation", "dev")} == {"validation"}
    assert splits.choose(there, "all") is None
    with pytest.raises(DataError, match=r"there is no split 'test'; there is train, validation"):
        splits.choose(there, "test")
    with pytest.raises(DataError, match="this source has none"):
        splits.choose((), "test")
