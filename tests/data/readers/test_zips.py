"""A zip holds what the folder held; nothing is extracted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset, verify

ZIPS = {"stored": 0, "deflated": 8, "bzip2": 12, "lzma": 14}


def example(root: Path) -> str:
    zoo.example_folder(root / "folder")
    with zipfile.ZipFile(root / "example.zip", "w") as to:
        for file in sorted((root / "folder").rglob("*.png")):
            to.write(file, file.relative_to(root / "folder"))
    return str(root / "example.zip")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return zoo.plain_folder(tmp_path / "plain")


@pytest.mark.parametrize("method", ZIPS.values(), ids=ZIPS.keys())
def test_zip_equals_folder(plain: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as to:
        for file in sorted(plain.rglob("*.png"), reverse=True):
            to.write(file, file.relative_to(plain))
    for split in ("train", "val", "all"):
        assert zoo.contents(open_dataset(tmp_path / "a.zip", split=split)) == zoo.contents(
            open_dataset(plain, split=split)
        )


def test_odd_members_of_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as to:
        to.writestr("cat/1.png", zoo.png(1))
        to.writestr("../../evil/1.png", zoo.png(2))
        to.writestr("/etc/1.png", zoo.png(3))
        to.writestr("__MACOSX/cat/._1.png", b"x")
        to.writestr("dog\\1.png", zoo.png(4))
        to.writestr("classes.yaml", "cat: house cat")
        with pytest.warns(UserWarning, match="Duplicate name"):
            to.writestr("cat/1.png", zoo.png(5))
    data = open_dataset(path)
    assert [sample.id for sample in data.samples] == ["cat/1.png", "dog/1.png"]
    assert dict(data.reasons()) == {"unsafe path": 2, "system folder": 1, "twice in the archive": 1, "not an image": 1}
    assert data.samples[0].source.read() == zoo.png(1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["odd.zip"]


def test_encrypted_and_lying_members_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as to:
        for name in ("cat/locked.png", "cat/flipped.png", "cat/good.png"):
            to.writestr(name, zoo.png(1))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1  # the flag of encryption, in the central directory
    at = data.index(b"cat/flipped.png") + len("cat/flipped.png") + 60
    data[at] ^= 0xFF
    path.write_bytes(data)
    found = verify(open_dataset(path))
    assert [sample.id for sample in found.samples] == ["cat/good.png"]
    assert dict(found.reasons()) == {"encrypted": 1, "damaged archive": 1}


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.data.archives.MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as to:
        to.writestr("cat/bomb.png", b"\0" * 50_000)
        to.writestr("cat/good.png", zoo.png())
    assert dict(open_dataset(tmp_path / "a.zip").reasons()) == {"file too large": 1}
