"""Image folders, archives and manifests behind a URL read as they do from a disk."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from data import zoo
from imaginate.data import Dataset, open_dataset, verify
from imaginate.errors import DataError


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[str]:
    zoo.folder(tmp_path / "set/train", {"cat": 2, "dog": 1})
    zoo.folder(tmp_path / "set/val", {"cat": 1})
    (tmp_path / "set/train/cat/.DS_Store").write_bytes(b"x")
    (tmp_path / "set/train/cat/cut.jpg").write_bytes(zoo.jpeg()[:-200])
    (tmp_path / "set/train/cat/empty.jpg").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as to:
        for file in (tmp_path / "set").rglob("*.*"):
            to.write(file, file.relative_to(tmp_path / "set"))
    for ending in ("tar", "tar.gz"):
        with tarfile.open(tmp_path / f"set.{ending}", "w:" + ending[4:]) as tar:
            tar.add(tmp_path / "set", ".")
    (tmp_path / "set.csv").write_text(
        "path,label,split\nset/train/cat/000.png,cat,train\nset/train/gone.png,cat,train\n"
    )
    system = fsspec.filesystem("memory")
    system.put(f"{tmp_path}/", "/box/", recursive=True)
    yield "memory://box"
    system.rm("/box", recursive=True)


def contents(data: Dataset) -> list[tuple[str, int, bytes]]:
    return [(s.id, s.label, s.source.read()) for s in pickle.loads(pickle.dumps(data.samples))]


@pytest.mark.parametrize("name", ["set", "set.zip", "set.tar", "set.tar.gz"])
def test_remote_equals_local(name: str, remote: str, tmp_path: Path) -> None:
    far, near = (verify(open_dataset(f"{at}/{name}")) for at in (remote, tmp_path))
    assert contents(far) == contents(near)
    assert (far.splits, far.reasons(), len(far)) == (near.splits, near.reasons(), 3)


def test_remote_manifest(remote: str) -> None:
    found = verify(open_dataset(f"{remote}/set.csv"))
    assert [s.source.read() for s in found.samples] == [zoo.png(0, height=8, width=10)]
    assert dict(found.reasons()) == {"missing file": 1}


def test_what_cannot_be_read_is_one_line(remote: str) -> None:
    fsspec.filesystem("memory").pipe("/box/a.parquet", b"PAR1....PAR1")
    for url, message in [
        (f"{remote}/nothing.zip", "cannot read"),
        (f"{remote}/a.parquet", "read from a local disk"),
        ("nosuch://a/b", "cannot read nosuch://a/b: Protocol not known"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            open_dataset(url)
        assert "\n" not in str(caught.value)
