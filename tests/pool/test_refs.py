"""References: every registered kind of image source is named by its word, and what version 0.1.0 wrote is read."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest

from imaginate import registry
from imaginate.data.place import examine
from imaginate.data.sources.file import FileSource
from imaginate.errors import ImageError
from imaginate.pool import refs
from imaginate.pool.units import Held
from imaginate.records import Part

READERS = registry.names("readers")


@pytest.mark.parametrize("name", READERS)
def test_what_a_reader_lists_is_read_again_by_its_reference(name: str, tmp_path: Path) -> None:
    path = importlib.import_module(f"data.readers.test_{name.replace('-', '_')}").example(tmp_path)
    reader = next(reader for reader in registry.in_order("readers") if reader.recognises(examine(path)))
    for sample in reader.read(examine(path), Part(split="all")).samples:
        ref = refs.encoded(sample.source)
        assert ref is not None
        assert "Source" not in ref
        assert ref.startswith("file:") or json.loads(ref)["kind"] in registry.names("sources")
        assert refs.read(ref) == sample.source.read()


def test_bytes_in_memory_have_no_reference() -> None:
    assert refs.encoded(Held(b"x")) is None


def test_references_of_version_0_1_0_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    file = str(tmp_path / "a.bin")
    assert refs.read(json.dumps({"kind": "sources.SpanSource", "path": file, "offset": 2, "size": 3})) == b"234"
    earlier = {
        "hfparquet.ParquetSource": ("path", "group", "row", "column"),
        "hfdisk.ArrowSource": ("path", "batch", "row", "column"),
        "npz.NpzSource": ("path", "key", "index"),
        "sources.ZipSource": ("path", "offset", "packed", "size", "method", "crc"),
        "sources.SpanSource": ("path", "offset", "size"),
        "unpacked.PackedSource": ("path", "packing", "start", "offset", "size"),
    }
    for kind, names in earlier.items():
        ref = json.dumps({"kind": kind, **dict.fromkeys(names, 0)})
        assert type(refs._source(ref)).__name__ == kind.split(".")[1]


@pytest.mark.parametrize(
    "ref",
    [
        "", "{}", "[]", "nonsense", '{"kind": "os.system", "path": "x"}', '{"kind": "zip", "path": "x"}',
        '{"kind": ["zip"], "path": "x"}', '{"kind": "imaginate.data.sources.zip", "path": "x"}',
    ],
)  # fmt: skip
def test_other_references_are_refused(ref: str) -> None:
    with pytest.raises(ImageError, match="unknown reference"):
        refs.read(ref)


def test_no_two_kinds_of_pool_sources_are_asked_at_the_same_time() -> None:
    assert len({source.priority for source in registry.in_order("pool-sources")}) == len(registry.names("pool-sources"))


@pytest.mark.parametrize("field", ["path", "name"])
def test_no_field_of_a_reference_may_name_a_place_that_a_path_may_not(field: str) -> None:
    """A pool from somebody else is read row by row: each row names where its image is."""
    with pytest.raises(ImageError, match="not allowed"):
        refs.read(json.dumps({"kind": "file" if field == "name" else "span", field: "ftp://example.org/a.png"}))


def test_a_file_whose_name_is_no_text_is_read_by_its_reference(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin")
    Path(name).write_bytes(b"01234")
    ref = refs.encoded(FileSource(name))
    assert ref is not None
    ref.encode()
    assert refs.read(ref) == b"01234"
