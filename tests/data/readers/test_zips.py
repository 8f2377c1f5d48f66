"""A zip holds what the folder held; nothing is extracted."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset, verify
from imaginate.errors import DataError

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


PAGES = {
    "cp866": ("кошки", "собаки"), "cp1251": ("кошки", "Собаки"), "gbk": ("猫", "狗"), "cp932": ("ねこ", "犬"),
    "cp850": ("café", "Grün"), "cp1252": ("café", "thé"), "utf-8": ("été", "猫"),
}  # fmt: skip


def zip_in_a_code_page(path: Path, names: tuple[str, ...], page: str) -> Path:
    """A zip without the flag of UTF-8, as old tools write it: names in the code page of their computer."""
    raw = [f"{name}/1.png".encode(page) for name in names]
    with zipfile.ZipFile(path, "w") as to:
        for number, name in enumerate(raw):
            to.writestr("x" * (len(name) - 1) + str(number), zoo.png(number))
    data = path.read_bytes()
    for number, name in enumerate(raw):
        data = data.replace(b"x" * (len(name) - 1) + str(number).encode(), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("page", PAGES)
def test_names_in_a_code_page_that_the_zip_does_not_state(page: str, tmp_path: Path) -> None:
    data = open_dataset(zip_in_a_code_page(tmp_path / "old.zip", PAGES[page], page))
    assert set(data.labels.names) == set(PAGES[page])
    assert any(f"read as {page}" in note for note in data.notes) == (page != "utf-8")
    said = open_dataset(tmp_path / "old.zip", encoding=page)
    assert said.labels == data.labels
    assert not any("code page" in note for note in said.notes)


def test_an_encoding_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    path = zip_in_a_code_page(tmp_path / "old.zip", ("café",), "cp850")
    for wrong in ("utf-8", "nonsense"):
        with pytest.raises(DataError, match=f"not in the encoding '{wrong}'"):
            open_dataset(path, encoding=wrong)


def test_info_zips_own_utf8_names_win(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    name = "猫/1.png".encode()
    info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, 0) + name
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as to:
        to.writestr(info, zoo.png())
    assert open_dataset(tmp_path / "a.zip").labels.names == ("猫",)


def test_a_folder_of_archives_says_so(tmp_path: Path) -> None:
    for name in ("train", "test"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("cat/1.png", zoo.png())
    with pytest.raises(DataError, match=r"test.zip is an archive: give it in place of the folder, or unpack it"):
        open_dataset(tmp_path)
