"""What every registered reader must hold. A new file in `data/readers/` is found and tested here without a change.

`tests/data/readers/test_<name>.py` has a function `example(root)` that writes `zoo.EXAMPLE` in the reader's layout,
with one image or row more that cannot be used, and returns the path.
"""

from __future__ import annotations

import importlib
import os
import pickle
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data import zoo
from imaginate import registry
from imaginate.contract import Reader
from imaginate.data import open_dataset, verify
from imaginate.data.decoding import decode, looks_like_image, pixels_of
from imaginate.data.place import examine
from imaginate.errors import DataError
from imaginate.records import Listing, Part

NAMES = registry.names("readers")
COUNTS = Counter((split, name) for split, name, _ in zoo.EXAMPLE)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def path(name: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return example(name, tmp_path_factory.mktemp(name))


def example(name: str, root: Path) -> str:
    return str(importlib.import_module(f"data.readers.test_{name.replace('-', '_')}").example(root))


def reader(name: str) -> Reader:
    return registry.find("readers", name)()


def listed(name: str, path: str, **part: Any) -> Listing:
    return reader(name).read(examine(path), Part(split="all", **part))


def test_declaration(name: str) -> None:
    assert reader(name).layout
    assert len(registry.summary(type(reader(name)))) > 20


def test_no_two_readers_are_asked_at_the_same_time() -> None:
    assert len({reader.priority for reader in registry.in_order("readers")}) == len(NAMES)


def test_its_layout_is_read_by_this_reader(name: str, path: str) -> None:
    first = next(reader for reader in registry.in_order("readers") if reader.recognises(examine(path)))
    assert type(first) is registry.find("readers", name)


def test_nothing_is_recognised_where_there_is_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "folder", tmp_path / "file", tmp_path / "missing"):
        assert not reader(name).recognises(examine(str(place)))


def test_lists_what_is_there(name: str, path: str) -> None:
    found = listed(name, path)
    assert found.labels.names == ("cat", "dog")
    assert all(0 <= sample.label < 2 for sample in found.samples)
    assert len({sample.id for sample in found.samples}) == len(found.samples) == len(zoo.EXAMPLE)
    wanted = {decode(data).tobytes(): label for _, label, data in zoo.EXAMPLE}
    assert {pixels_of(s).tobytes(): found.labels.names[s.label] for s in found.samples} == wanted
    assert found.splits in (("train", "test"), ())
    if found.splits:
        assert Counter((s.split, found.labels.names[s.label]) for s in found.samples) == COUNTS


def test_what_cannot_be_used_is_counted_under_its_reason(name: str, path: str) -> None:
    found = listed(name, path)
    assert len(found.skipped) == 1
    assert 0 < len(found.skipped[0].reason) < 60
    assert found.skipped[0].id not in {sample.id for sample in found.samples}
    data = verify(open_dataset(path, split="all"))
    assert dict(data.reasons()) == {found.skipped[0].reason: 1}


def test_lists_the_same_again_and_elsewhere(name: str, path: str, tmp_path: Path) -> None:
    first = listed(name, path)
    assert listed(name, path) == first
    other = listed(name, example(name, tmp_path))
    assert [(s.id, s.label, s.split, s.meta) for s in other.samples] == [
        (s.id, s.label, s.split, s.meta) for s in first.samples
    ]


def test_samples_survive_pickling(name: str, path: str) -> None:
    found = listed(name, path)
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    for sample, sent in reversed(list(zip(found.samples, again.samples, strict=True))):
        assert hash(sent.source) == hash(sample.source)
        assert sent.source.read() == sample.source.read()


def test_splits_and_subsets(name: str, path: str) -> None:
    whole = open_dataset(path, split="all")
    for split in whole.splits:
        part = open_dataset(path, split=split)
        assert list(part.samples) == [sample for sample in whole.samples if sample.split == split]
        assert part.labels == whole.labels
    with pytest.raises(DataError, match="there is no split 'nowhere'"):
        open_dataset(path, split="nowhere")
    few = open_dataset(path, split="all", shots=1)
    assert few.counts() == {"cat": 1, "dog": 1}
    assert {s.id for s in few.samples} <= {s.id for s in open_dataset(path, split="all", shots=2).samples}
    assert open_dataset(path, split="all", fraction=0.5).counts() == {"cat": 2, "dog": 2}


def test_origins_are_followed_or_refused(name: str, path: str) -> None:
    if not listed(name, path).has_origins:
        with pytest.raises(DataError, match="origin 'original' needs a run"):
            open_dataset(path, origin="original")
        return
    sides = [listed(name, path, origin=origin) for origin in ("original", "synthetic")]
    assert [{s.meta["origin"] == "original" for s in side.samples} for side in sides] == [{True}, {False}]
    assert sum(len(side.samples) for side in sides) == len(zoo.EXAMPLE)


def test_listing_reads_no_image(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in registry.names("sources"):
        cls = registry.find("sources", kind)
        monkeypatch.setattr(cls, "read", _no_image(cls.read))
    listed(name, path)  # what is loaded once does not count
    tracemalloc.start()
    try:
        listed(name, path)
        assert tracemalloc.get_traced_memory()[1] < sum(len(data) for *_, data in zoo.EXAMPLE) / 3
    finally:
        tracemalloc.stop()


def _no_image(read: Any) -> Any:
    def checked(source: Any) -> bytes:
        data = bytes(read(source))
        assert not looks_like_image(data[:32]), "a listing read an image"
        return data

    return checked


def test_damage_is_one_line(name: str, tmp_path: Path) -> None:
    """Whatever is done to the bytes of its files: the reader lists what is left, or says in one line why it cannot."""
    path = example(name, tmp_path)
    files = [Path(at, file) for at, _, names in os.walk(tmp_path) for file in names if not file.endswith(".png")]
    for share in (0.9, 0.5, 0.01):
        for file in files:
            file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
        try:
            data = open_dataset(path, split="all")
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert len(data) <= len(zoo.EXAMPLE)
