"""File names from anything a dataset may call its classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaginate.write.names import class_folders, folders_in_label_order, stem

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), unique=True, max_size=8)


@given(NAMES)
def test_class_folders_are_safe_and_unique_where_case_does_not_count(names: list[str]) -> None:
    folders = class_folders(names)
    assert len(folders) == len(names)
    assert len({f.casefold() for f in folders}) == len(folders)
    for folder in folders:
        assert folder
        assert len(folder.encode()) < 256
        assert not set(folder) & set('/\\:*?"<>|\0')
        assert folder[0] not in ". "
        assert folder[-1] not in ". "


@given(NAMES)
def test_folders_sort_in_the_order_of_the_labels(names: list[str]) -> None:
    folders = folders_in_label_order(names)
    assert folders == sorted(folders)
    assert len({f.casefold() for f in folders}) == len(names)
    assert all(len(folder.encode()) < 256 and not set(folder) & set('/\\:*?"<>|\0') for folder in folders)
    ordered = sorted(names)
    if class_folders(ordered) == sorted(class_folders(ordered)):
        assert folders_in_label_order(ordered) == class_folders(ordered)


def test_folders_in_label_order_stay_readable() -> None:
    assert folders_in_label_order(["2", "9", "10"]) == ["02", "09", "10"]
    assert folders_in_label_order(["rose", "fern", "ivy"]) == ["0_rose", "1_fern", "2_ivy"]
    assert folders_in_label_order(["fern", "rose"]) == ["fern", "rose"]


def test_ordinary_names_stay_as_they_are() -> None:
    assert class_folders(["tiger lily", "花", "a_b-c.d"]) == ["tiger lily", "花", "a_b-c.d"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("test", "test~"),
        ("val 2", "val~ 2"),
        ("my.eval", "my.eval~"),
        ("Test", "Test"),
        ("latest", "latest"),
        ("dev", "dev~"),
    ],
)
def test_no_name_is_read_as_a_split(name: str, folder: str) -> None:
    assert class_folders([name]) == [folder]
    assert stem(f"a/{name}_1.png").startswith(folder.replace(" ", "_").replace(".", "_"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), unique=True, max_size=20))
def test_stems_are_unique_and_safe(keys: list[str]) -> None:
    stems = [stem(key) for key in keys]
    assert len(set(stems)) == len(keys)
    assert all(s and s[0] not in "./" and "/" not in s and len(s.encode()) < 220 for s in stems)
