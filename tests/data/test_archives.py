"""Zips and tars hold what the folder held; nothing is extracted; random access into compressed streams is exact."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import zoo
from imaginate.data import Dataset, open_dataset, verify
from imaginate.data.unpacked import Inflated, unpacked
from imaginate.errors import DataError, ImageError

ZIPS = {"stored": 0, "deflated": 8, "bzip2": 12, "lzma": 14}


def contents(data: Dataset) -> list[tuple[str, str, str | None, bytes]]:
    return [(s.id, data.labels.names[s.label], s.split, s.source.read()) for s in data.samples]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    root = tmp_path / "plain"
    zoo.folder(root / "train", {"cat": 3, "été": 2})
    return zoo.folder(root / "val", {"cat": 1, "été": 1}).parent


@pytest.mark.parametrize("method", ZIPS.values(), ids=ZIPS.keys())
def test_zip_equals_folder(plain: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as to:
        for file in sorted(plain.rglob("*.png"), reverse=True):
            to.write(file, file.relative_to(plain))
    for split in ("train", "val", "all"):
        assert contents(open_dataset(tmp_path / "a.zip", split=split)) == contents(open_dataset(plain, split=split))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_tar_equals_folder(plain: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with tarfile.open(path, "w:" + ending[4:]) as to:
        to.add(plain, ".")
    packed = open_dataset(path, split="all")
    assert contents(packed) == contents(open_dataset(plain, split="all"))
    backwards = pickle.loads(pickle.dumps(list(reversed(packed.samples))))
    assert [s.source.read() for s in backwards] == [s.source.read() for s in reversed(packed.samples)]


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
    monkeypatch.setattr("imaginate.data.zips.MAX_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as to:
        to.writestr("cat/bomb.png", b"\0" * 50_000)
        to.writestr("cat/good.png", zoo.png())
    assert dict(open_dataset(tmp_path / "a.zip").reasons()) == {"file too large": 1}


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


CONTENT = b"".join(zlib.crc32(b"%d" % n).to_bytes(4, "big") * (1 + n % 7) for n in range(20_000))


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("streams")
    half = len(CONTENT) // 2
    packed = {
        "gz": gzip.compress(CONTENT[:half]) + gzip.compress(CONTENT[half:]),  # two members are one stream
        "deflate": zlib.compressobj(6, wbits=-15).compress(b""),
        "bz2": bz2.compress(CONTENT),
        "xz": lzma.compress(CONTENT),
    }
    raw = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed["deflate"] = raw.compress(CONTENT) + raw.flush()
    for name, data in packed.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in packed}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.tuples(st.integers(0, len(CONTENT) + 100), st.integers(0, 5000)), min_size=1, max_size=8))
@pytest.mark.parametrize("packing", ["gz", "deflate"])
def test_random_access_equals_a_slice(streams: dict[str, Path], packing: str, spans: list[tuple[int, int]]) -> None:
    stream = Inflated(str(streams[packing]), packing, 0, spacing=5_000)
    for offset, size in spans:
        assert stream.read(offset, size) == CONTENT[offset : offset + size]


@pytest.mark.parametrize("packing", ["bz2", "xz", "gz", "deflate"])
def test_access_backwards(streams: dict[str, Path], packing: str) -> None:
    for offset in range(len(CONTENT) - 1000, 0, -40_000):
        assert unpacked(str(streams[packing]), packing, 0, offset, 1000) == CONTENT[offset : offset + 1000]  # type: ignore[arg-type]


def test_checkpoints_stay_few(streams: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.data.unpacked.MAX_POINTS", 4)
    monkeypatch.setattr("imaginate.data.unpacked.CHUNK", 1000)
    stream = Inflated(str(streams["gz"]), "gz", 0, spacing=1000)
    assert stream.read(0, len(CONTENT)) == CONTENT
    assert len(stream._points) <= 5
    assert stream.read(177_777, 99) == CONTENT[177_777:177_876]


def test_a_damaged_stream_is_a_reason(tmp_path: Path, streams: dict[str, Path]) -> None:
    data = bytearray(streams["gz"].read_bytes())
    data[5000:5100] = b"\xff" * 100
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ImageError, match=r"^damaged archive$"):
        unpacked(str(tmp_path / "bad"), "gz", 0, len(CONTENT) - 10, 10)
