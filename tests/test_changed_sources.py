"""Sources that changed under the same name, with the same size and the same times, are known by their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace as Some

import pytest
from PIL import Image

import imaginate
from colour_guide import ColourGuide
from imaginate.data.sources.file import FileSource
from imaginate.errors import ImageError, RunError
from imaginate.evaluation.folder import StudyFile
from imaginate.models.weights import backbone_weights
from imaginate.pool import Building, build_pool, open_pool
from imaginate.pool.units import file_stamp
from imaginate.records import Sample
from imaginate.training import folder as trained
from imaginate.training.pixel_cache import build_pixel_cache


def draw(path: Path, colour: str) -> None:
    """A picture that has as many bytes in any colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour).save(path, "BMP")


def replace(path: Path, colour: str) -> None:
    """Another picture under the same name, with the same size and the times that can be set."""
    before = path.stat()
    draw(path, colour)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file has a time at which it was changed."""
    real: Callable[..., os.stat_result] = os.stat

    def stat(path: str, **how: bool) -> os.stat_result:
        times = {"st_atime_ns": 1, "st_mtime_ns": 1, "st_ctime_ns": 1}
        return os.stat_result((*real(path, **how)[:7], 1, 1, 1), times)

    monkeypatch.setattr("imaginate.training.pixel_cache.os.stat", stat)


@pytest.mark.usefixtures("blind")
def test_decoded_pictures_are_known_by_their_bytes(tmp_path: Path) -> None:
    draw(tmp_path / "a.bmp", "red")

    def decode() -> str:
        sample = Sample(id="a", label=0, source=FileSource(str(tmp_path / "a.bmp")))
        return build_pixel_cache([sample], tmp_path / "cache", size=8, classes=1).fingerprint

    first = decode()
    assert decode() == first
    draw(tmp_path / "a.bmp", "blue")
    assert decode() != first
    draw(tmp_path / "a.bmp", "red")
    assert decode() == first


@pytest.mark.usefixtures("blind")
def test_the_pieces_of_a_pool_are_known_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a.bin"
    for whole in (2**20, 1000):  # a file that is hashed, and one of which blocks are
        monkeypatch.setattr("imaginate.pool.units.WHOLE", whole)
        place.write_bytes(bytes(200_000))
        first = file_stamp(str(place))
        assert file_stamp(str(place)) == first
        place.write_bytes(bytes(100_000) + b"x" + bytes(99_999))
        assert file_stamp(str(place)) != first


def test_a_file_behind_a_url_is_known_by_what_its_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"size": 5, "ETag": '"1"'}
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.info", lambda *_, **__: facts)
    first = file_stamp("memory://pool/a.tar")
    facts["ETag"] = '"2"'
    assert file_stamp("memory://pool/a.tar") != first


def test_a_pool_says_what_was_replaced_and_reads_no_other_picture(tmp_path: Path) -> None:
    guide = ColourGuide()
    for name, colour in (("a", "red"), ("b", "green")):
        draw(tmp_path / "photos" / f"{name}.bmp", colour)
    pool = str(tmp_path / "pool")
    build_pool(pool, [str(tmp_path / "photos")], guide, Building(store="reference"))
    row = open_pool(pool).search(guide.embed_text(["red"]), 1)[0][0]
    replace(tmp_path / "photos" / "a.bmp", "blue")
    again = build_pool(pool, [str(tmp_path / "photos")], guide, Building(store="reference"))
    assert (again.added, again.known, again.replaced, again.finished_units) == (1, 1, 1, 0)
    with pytest.raises(ImageError, match="changed since it was added"):
        open_pool(pool).image(row)
    last = build_pool(pool, [str(tmp_path / "photos")], guide, Building(store="reference"))
    assert (last.added, last.replaced, last.finished_units) == (0, 0, 1)


def test_adopted_pictures_are_known_by_their_bytes(tmp_path: Path) -> None:
    for name in "ab":
        for i, colour in enumerate(("red", "green") if name == "a" else ("navy", "pink")):
            draw(tmp_path / "made" / name / f"{i}.bmp", colour)
    imaginate.adopt(tmp_path / "made", tmp_path / "run", progress=False)
    replace(tmp_path / "made" / "a" / "0.bmp", "blue")
    with pytest.raises(RunError, match=r"another recipe \(method.content was"):
        imaginate.adopt(tmp_path / "made", tmp_path / "run", progress=False)


def test_a_backbone_that_changed_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"one")
    arch = f"probe:{model}"
    first = backbone_weights([arch, "small", "resnet50", "probe:timm:resnet50"])
    assert list(first) == [arch]
    trained.check_weights(tmp_path, {"weights": first}, backbone_weights([arch]))
    trained.check_weights(tmp_path, {}, first)  # of an earlier version
    (model / "model.safetensors").write_bytes(b"two")
    with pytest.raises(RunError, match=f"started from other weights: {arch}.* has other weights: hash"):
        trained.check_weights(tmp_path, {"weights": first}, backbone_weights([arch]))


def test_a_study_keeps_the_weights_that_it_began_with(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    file = StudyFile(tmp_path / "study")
    protocol = Some(archs=(f"finetune:{tmp_path}",), clip="nano")
    file.stored = {"weights": file.weights(protocol, [])}  # type: ignore[arg-type]
    assert file.weights(protocol, []) == file.stored["weights"] != {}  # type: ignore[arg-type]
    (tmp_path / "model.safetensors").write_bytes(b"two")
    with pytest.raises(RunError, match="a study with other weights"):
        file.weights(protocol, [])  # type: ignore[arg-type]
