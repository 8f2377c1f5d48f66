"""Class and split from the path alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate.data import splits
from imaginate.data.layout import NO_CLASS, OUTSIDE, arrange
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
    "beside the splits": {
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
