"""A seed image is read again where its file has changed, and only there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaginate.data import open_dataset, sha256
from imaginate.engine import seed_digests
from imaginate.engine.seed_digests import seen_in
from imaginate.machine_cache import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve images whose files have not changed for a while, as far as the module can see."""
    monkeypatch.setenv("IMAGINATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(seed_digests, "TRUSTED_AFTER", 0)
    monkeypatch.setattr(seed_digests, "PIECE", 5)
    for number in range(12):
        place = tmp_path / "data" / f"class{number % 2}" / f"{number:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        _paint(place, number)
    time.sleep(0.02)  # a tick of the file system's clock
    return tmp_path / "data"


def _paint(place: Path, value: int) -> None:
    Image.fromarray(np.full((4, 4, 3), value, np.uint8)).save(place, compress_level=0)


def _read(folder: Path, monkeypatch: pytest.MonkeyPatch, **given: object) -> tuple[list[str], int]:
    """The digests, and how many files were read for them."""
    read, count = seed_digests._read, 0

    def counted(source: object) -> object:
        nonlocal count
        count += 1
        return read(source)

    with monkeypatch.context() as patch:
        patch.setattr(seed_digests, "_read", counted)
        return [seen.digest for seen in seen_in(open_dataset(str(folder), **given))], count


def _true(folder: Path, **given: object) -> list[str]:
    return [sha256(sample.source.read()) for sample in open_dataset(str(folder), **given).samples]


def test_what_has_not_changed_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _read(folder, monkeypatch) == (_true(folder), 12)
    assert _read(folder, monkeypatch) == (_true(folder), 0)


def test_another_content_of_the_same_size_and_time_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _read(folder, monkeypatch)
    place = folder / "class1" / "03.png"
    before = place.stat()
    _paint(place, 200)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = place.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert _read(folder, monkeypatch) == (_true(folder), 1)


def test_a_file_that_took_the_place_of_another_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _read(folder, monkeypatch)
    _paint(folder / "new.partial.png", 201)
    os.replace(folder / "new.partial.png", folder / "class0" / "04.png")
    assert _read(folder, monkeypatch) == (_true(folder), 1)


@pytest.mark.parametrize("name", ["class0/00a.png", "class0/05.png", "class1/99.png"])
def test_one_image_more_moves_the_others_and_they_are_known(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _read(folder, monkeypatch)
    _paint(folder / name, 202)
    assert _read(folder, monkeypatch) == (_true(folder), 1)
    (folder / "class0" / "00.png").unlink()
    assert _read(folder, monkeypatch) == (_true(folder), 0)


def test_a_change_of_just_now_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed_digests, "TRUSTED_AFTER", 3600 * 10**9)
    assert _read(folder, monkeypatch)[1] == 12
    assert _read(folder, monkeypatch) == (_true(folder), 12)


def test_without_a_cache_every_file_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _read(folder, monkeypatch)
    monkeypatch.setenv("IMAGINATE_CACHE", "off")
    assert _read(folder, monkeypatch) == (_true(folder), 12)


def test_a_value_of_another_form_is_no_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _read(folder, monkeypatch)
    names = [f"{seed_digests._Known(open_dataset(str(folder)))._front} {place}" for place in range(3)]
    assert len(cache().get(names)) == 3
    cache().put(dict.fromkeys(names, b"other"))
    assert _read(folder, monkeypatch) == (_true(folder), 12)


def test_an_image_that_cannot_be_read_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_dataset(str(folder))
    gone = folder / "class0" / "02.png"
    kept = gone.read_bytes()
    gone.unlink()
    first = [seen for seen in seen_in(dataset) if seen.problem]
    assert [(seen.digest, seen.problem) for seen in first] == [("", "missing file")]
    gone.write_bytes(kept)
    assert _read(folder, monkeypatch) == (_true(folder), 1)


def test_how_deep_pictures_are_seen_belongs_to_the_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        place = folder / f"class{number % 2}" / f"{number:02d}.png"
        Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 100 + number).save(place)
    time.sleep(0.02)
    one, other = ({"range": f"0..{top}"} for top in (1000, 2000))
    assert _read(folder, monkeypatch, **one) == (_true(folder, **one), 12)
    assert _read(folder, monkeypatch, **other) == (_true(folder, **other), 12)
    assert _read(folder, monkeypatch, **one) == (_true(folder, **one), 0)


def test_a_mark_of_a_model_is_kept_with_the_hash(folder: Path) -> None:
    place = folder / "class0" / "00.png"
    mark = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    place.write_bytes(place.read_bytes() + mark)
    time.sleep(0.02)
    for _ in range(2):
        assert next(seen.mark for seen in seen_in(open_dataset(str(folder)))) == "trainedAlgorithmicMedia"
