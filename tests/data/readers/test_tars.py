"""A tar holds what the folder held; nothing is extracted; of a cut archive, what comes before the cut is used."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset, verify
from imaginate.errors import DataError


def example(root: Path) -> str:
    zoo.example_folder(root / "folder")
    with tarfile.open(root / "example.tar", "w") as to:
        to.add(root / "folder", ".")
    return str(root / "example.tar")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return zoo.plain_folder(tmp_path / "plain")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tar_equals_folder(plain: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with tarfile.open(path, "w:" + ending[4:]) as to:
        to.add(plain, ".")
    packed = open_dataset(path, split="all")
    assert zoo.contents(packed) == zoo.contents(open_dataset(plain, split="all"))
    backwards = pickle.loads(pickle.dumps(list(reversed(packed.samples))))
    assert [s.source.read() for s in backwards] == [s.source.read() for s in reversed(packed.samples)]


def test_links_in_a_tar_are_skipped(tmp_path: Path) -> None:
    zoo.folder(tmp_path / "a", {"cat": 1})
    (tmp_path / "a/cat/link.png").symlink_to("/etc/passwd")
    with tarfile.open(tmp_path / "a.tar", "w") as to:
        to.add(tmp_path / "a", "a")
    assert dict(open_dataset(tmp_path / "a.tar").reasons()) == {"link in an archive": 1}


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_cut_archives(plain: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as to:
            for file in plain.rglob("*.png"):
                to.write(file, file.relative_to(plain))
    else:
        with tarfile.open(path, "w:" + ending[4:]) as to:
            to.add(plain, ".")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    if ending == "zip":
        with pytest.raises(DataError, match="as a zip"):
            open_dataset(path)
        return
    found = verify(open_dataset(path, split="all"))
    assert "damaged archive" in found.reasons()
    assert 0 < len(found) < 7
