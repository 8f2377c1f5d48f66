"""Samples in columns say what a list of samples says, whatever is asked and in whatever order."""

import pickle
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imaginate.data import open_dataset
from imaginate.data.endings import endings
from imaginate.data.listing import printable
from imaginate.data.packed import FileSamples, Names, endings_of, ids_of, labels_of, only, splits_of
from imaginate.data.sources.file import FileSource
from imaginate.records import Sample

letters = st.sampled_from(["a", "b", ".", "/", "é", "\udcff", "0", ".png", ".jpg", "日本"])
name_lists = st.lists(st.lists(letters, max_size=6).map("".join), max_size=80)


@settings(max_examples=150, deadline=None)
@given(names=name_lists, is_sorted=st.booleans(), data=st.data())
def test_packed_names_are_the_names(names, is_sorted, data):
    names = sorted(names) if is_sorted else names
    packed = Names(names)
    assert list(packed) == names
    assert len(packed) == len(names)
    assert packed.endings() == endings(names)
    for place in data.draw(st.lists(st.integers(-len(names), len(names) - 1), max_size=20)) if names else ():
        assert packed[place] == names[place]
    first, end = sorted(data.draw(st.tuples(st.integers(0, len(names)), st.integers(0, len(names)))))
    assert list(packed.between(first, end)) == names[first:end]
    assert packed[first:end] == names[first:end]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(letters, st.integers(0, 70_000), st.sampled_from([None, "train", "test"])), max_size=70),
    data=st.data(),
)
def test_packed_samples_are_the_samples(rows, data):
    rows = [(f"{n:03}{name}", label, split) for n, (name, label, split) in enumerate(rows)]
    listed = [Sample(id=printable(n), label=c, source=FileSource(n, "/data"), split=s) for n, c, s in rows]
    columns = ([row[part] for row in rows] for part in range(3))
    packed = FileSamples(*columns, id_of=printable, source=partial(FileSource, folder="/data"))
    for _ in range(3):  # a choice of a choice of a choice
        assert list(packed) == listed
        assert [packed[n] for n in range(len(listed))] == listed
        assert packed == listed
        assert packed == tuple(listed)
        assert list(ids_of(packed)) == list(ids_of(listed))
        assert list(labels_of(packed)) == list(labels_of(listed))
        assert list(splits_of(packed)) == list(splits_of(listed))
        assert endings_of(packed) == endings_of(listed)
        assert list(pickle.loads(pickle.dumps(packed))) == listed
        places = data.draw(
            st.one_of(
                st.lists(st.integers(0, len(listed) - 1), max_size=50), st.just(range(len(listed) // 3, len(listed)))
            )
            if listed
            else st.just([])
        )
        packed, listed = only(packed, places), only(listed, places)
    assert list(packed[1:4]) == listed[1:4]
    assert packed != [*listed, None]


def test_an_index_outside_is_refused():
    packed = FileSamples(["a.png"], [0], [None], id_of=printable, source=FileSource)
    with pytest.raises(IndexError):
        packed[1]
    with pytest.raises(IndexError):
        Names(["a"])[1]


def test_a_folder_is_read_into_columns_of_few_bytes(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / label / "0.png")
    assert isinstance(open_dataset(tmp_path).samples, FileSamples)
    names = [f"class{label}/{n:06d}.png" for label in range(10) for n in range(label, 20_000, 10)]
    labels, splits = [n // 2000 for n in range(20_000)], ["train"] * 20_000
    packed = FileSamples(names, labels, splits, id_of=printable, source=FileSource)
    assert len(pickle.dumps(packed)) < 16 * 20_000
