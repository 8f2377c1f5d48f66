"""Every animal of the zoo has the outcome that its table says, in a folder, a zip and a tar alike."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data import zoo
from imaginate.data import Dataset, DataSpec, load, open_dataset, verify
from imaginate.data.sources.file import FileSource
from imaginate.errors import DataError, ImageError
from imaginate.records import Sample

BEASTS = zoo.beasts()
FILES = [beast for beast in BEASTS if isinstance(beast.data, bytes)]


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("zoo")
    (root / "beasts").mkdir()
    for beast in BEASTS:
        beast.put(root / "beasts")
    return zoo.folder(root, {"good": 2})


@pytest.fixture(scope="module")
def checked(cage: Path) -> Dataset:
    return verify(open_dataset(cage))


@pytest.mark.parametrize("beast", BEASTS, ids=lambda beast: repr(beast.name))
def test_each_beast_is_used_or_skipped_with_its_reason(beast: zoo.Beast, checked: Dataset) -> None:
    name = f"beasts/{beast.name}"
    used = {sample.id: sample for sample in checked.samples}
    reasons = {item.id: item.reason for item in checked.skipped}
    if beast.outcome != zoo.USED:
        assert name not in used
        assert reasons[name] == beast.outcome
        return
    assert name not in reasons
    image = load(used[name])
    assert image.shape[0] == 3
    assert str(image.dtype) == "torch.uint8"
    assert image.is_contiguous()
    if beast.pixels is not None:
        found = image.permute(1, 2, 0).numpy().astype(float)
        assert found.shape == beast.pixels.shape
        assert np.abs(found - beast.pixels).max() <= beast.off


def test_every_file_is_accounted_for(checked: Dataset) -> None:
    assert len(checked.samples) + len(checked.skipped) == len(BEASTS) + 2
    assert sum(checked.reasons().values()) == len(checked.skipped)
    assert checked.labels.names == ("beasts", "good")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_judge_as_folders_do(kind: str, cage: Path, checked: Dataset, tmp_path: Path) -> None:
    path = tmp_path / f"zoo.{kind}"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) if kind == "zip" else tarfile.open(path, "w:" + kind[4:]) as to
    ):
        add = to.write if isinstance(to, zipfile.ZipFile) else to.add
        for name in [*(f"beasts/{beast.name}" for beast in FILES), "good/000.png", "good/001.png"]:
            add(cage / name, name)
    found = verify(open_dataset(path))
    loose = {f"beasts/{beast.name}" for beast in BEASTS if beast not in FILES}
    assert [sample.id for sample in found.samples] == [s.id for s in checked.samples if s.id not in loose]
    reasons = {item.id: item.reason for item in found.skipped}
    assert reasons == {item.id: item.reason for item in checked.skipped if item.id not in loose}


def test_reading_writes_nothing(cage: Path) -> None:
    before = sorted(
        (path, os.lstat(os.path.join(at, path)).st_mtime_ns) for at, _, names in os.walk(cage) for path in names
    )
    verify(open_dataset(cage, shots=3))
    after = sorted(
        (path, os.lstat(os.path.join(at, path)).st_mtime_ns) for at, _, names in os.walk(cage) for path in names
    )
    assert after == before


def test_nothing_usable_is_one_error_with_the_reasons(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(zoo.jpeg()[:-200])
        (tmp_path / name / "b.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"no usable image in .*: 2 empty file, 2 truncated$"):
        open_dataset(tmp_path)


def test_shots_takes_the_next_image_in_place_of_a_broken_one(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"cat": 20})
    whole = open_dataset(tmp_path, shots=5)
    for sample in whole.samples[:2]:
        (tmp_path / sample.id).write_bytes(zoo.jpeg()[:-200])
    mended = open_dataset(tmp_path, shots=5)
    assert len(mended) == 5
    assert {s.id for s in whole.samples[2:]} < {s.id for s in mended.samples}
    assert [item.reason for item in mended.skipped] == ["truncated", "truncated"]


def test_permission_denied_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.folder(tmp_path)
    real = os.open

    def refuse(path: str, *rest: object, **more: object) -> object:
        if str(path).endswith("cat/001.png"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    found = verify(open_dataset(tmp_path))
    assert [(item.id, item.reason) for item in found.skipped] == [("cat/001.png", "permission denied")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_for_real(tmp_path: Path) -> None:
    zoo.folder(tmp_path, {"cat": 2, "dog": 2, "owl": 2})
    (tmp_path / "cat/000.png").chmod(0)
    (tmp_path / "dog").chmod(0)
    try:
        found = verify(open_dataset(tmp_path))
        reasons = {item.id: item.reason for item in found.skipped}
        assert reasons == {"cat/000.png": "permission denied", "dog/": "permission denied"}
    finally:
        (tmp_path / "dog").chmod(0o700)


def test_a_file_that_disappears_or_shrinks_is_a_reason(tmp_path: Path) -> None:
    zoo.folder(tmp_path)
    data = open_dataset(tmp_path)
    (tmp_path / data.samples[0].id).unlink()
    with pytest.raises(ImageError, match=r"^missing file$"):
        data.image(0)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    zoo.folder(tmp_path)
    raw = os.fsencode(tmp_path) + b"/cat/\xff\xfe.png"
    try:
        with open(raw, "wb") as file:
            file.write(zoo.png())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    found = verify(open_dataset(tmp_path))
    assert "cat/\\xff\\xfe.png" in [sample.id for sample in found.samples]
    for sample in found.samples:
        sample.id.encode()


def test_huge_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imaginate.data.reading.MAX_BYTES", 1000)
    (tmp_path / "big.png").write_bytes(b"\x89PNG" + b"\0" * 5000)
    with pytest.raises(ImageError, match=r"^file too large$"):
        load(Sample(id="big", label=0, source=FileSource(str(tmp_path / "big.png"))))


def test_the_spec_refuses_by_rule_and_value() -> None:
    with pytest.raises(Exception, match=r"fraction must be in \(0, 1\], got 1.5"):
        DataSpec(path="x", fraction=1.5)
    with pytest.raises(Exception, match="did you mean 'shots'"):
        open_dataset("x", shot=3)
