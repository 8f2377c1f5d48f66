"""Names that data gives for files: none leads out of the folder that it is for, by its letters or by a link."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import imaginate
from imaginate.data import open_dataset
from imaginate.errors import ImaginateError, RunError
from imaginate.files import Folder, inside
from imaginate.ownership import own

BAD = ["../x", "a/../../x", "/etc/passwd", "..", "a\0b", "file:///etc/passwd", "..\\x", "a/..\\..\\x"]


def picture(path: Path, seed: int) -> Path:
    """A small picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of two pictures."""
    for label, name in enumerate(("fern", "rose")):
        for k in range(2):
            picture(tmp_path / "data" / name / f"{k}.png", 10 * label + k)
    return tmp_path / "data"


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("use", ["inside", "get", "put", "exists", "open", "link", "move", "remove", "readable"])
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str, use: str) -> None:
    (tmp_path / "x").write_text("secret")
    folder = Folder(tmp_path / "run")
    folder.put("a", b"1")
    calls = {
        "inside": lambda: inside(folder.root, name), "put": lambda: folder.put(name, b"2"),
        "move": lambda: folder.move("a", name), "link": lambda: folder.link(name, "/etc/passwd"),
    }  # fmt: skip
    with pytest.raises(RunError, match=r"outside of it|is not a file name"):
        calls.get(use, lambda: getattr(folder, use)(name))()
    assert (tmp_path / "x").read_text() == "secret"


def test_a_link_out_of_a_folder_is_neither_read_nor_removed(tmp_path: Path) -> None:
    secret = tmp_path / "far" / "secret.png"
    picture(secret, 1)
    folder = Folder(tmp_path / "run")
    folder.put("a", b"1")
    (tmp_path / "run" / "images").symlink_to(secret.parent)
    (tmp_path / "run" / "one.png").symlink_to(secret)
    for name in ("images/secret.png", "one.png"):
        for use in (folder.get, folder.open, folder.readable):
            with pytest.raises(RunError, match="is a link to"):
                use(name)
    assert folder.names("images") == []
    with pytest.raises(RunError, match="is a link to"):
        folder.remove("images/secret.png")
    with pytest.raises(RunError, match="is a link to"):
        folder.move("images/secret.png", "b.png")
    assert secret.exists()


@pytest.mark.parametrize("command", ["train", "fit", "compare", "export", "pool build"])
def test_a_folder_with_a_planted_link_is_not_written(tmp_path: Path, command: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cache").symlink_to(tmp_path / "victim")
    with pytest.raises(RunError, match=r"refusing to use .*cache is a link to"):
        own(tmp_path / "out", command).__enter__()
    assert list((tmp_path / "victim").iterdir()) == []
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cache"]


def renamed(run: Path, name: str) -> None:
    """Give the first kept row of a run another file name."""
    table = pq.read_table(run / "metadata.parquet")
    names = table.column("file_name").to_pylist()
    place = table.schema.get_field_index("file_name")
    table = table.set_column(place, "file_name", pa.array([name, *names[1:]]))
    pq.write_table(table, run / "metadata.parquet")


@pytest.mark.parametrize("how", ["../secret.png", "/SECRET", "images/fern/link.png", "linked/secret.png"])
def test_a_run_gives_no_picture_from_elsewhere(tmp_path: Path, data: Path, how: str) -> None:
    secret = picture(tmp_path / "secret.png", 99)
    run = tmp_path / "run"
    imaginate.expand(str(data), run, "duplicate", copies=1, progress=False)
    (run / "images" / "fern" / "link.png").symlink_to(secret)
    (run / "linked").symlink_to(tmp_path)
    renamed(run, how.replace("/SECRET", str(secret)))
    bytes_of = secret.read_bytes()
    with suppress(ImaginateError):
        found = open_dataset(str(run))
        assert "outside of the run" in {s.reason for s in found.skipped}
        assert all(sample.source.read() != bytes_of for sample in found.samples)
    for form in ("csv", "webdataset"):
        with suppress(ImaginateError):
            imaginate.export(str(run), str(tmp_path / form), form)
        written = b"".join(p.read_bytes() for p in (tmp_path / form).rglob("*") if p.is_file())
        assert bytes_of not in written
        assert b"secret.png" not in written
        assert b"link.png" not in written


def test_the_links_of_a_run_to_its_seeds_are_read_and_others_are_not(tmp_path: Path, data: Path) -> None:
    run = tmp_path / "run"
    imaginate.expand(str(data), run, "duplicate", copies=1, originals="link", progress=False)
    assert len(open_dataset(str(run)).samples) == 8
    link = next(p for p in (run / "images").rglob("*") if p.is_symlink())
    link.unlink()
    link.symlink_to(picture(tmp_path / "secret.png", 99))
    found = open_dataset(str(run))
    assert len(found.samples) == 7
    assert [s.reason for s in found.skipped] == ["outside of the run"]


@pytest.mark.parametrize("name", ["../secret.png", "ABSOLUTE"])
def test_the_table_of_a_folder_names_only_its_own_files(tmp_path: Path, name: str) -> None:
    secret = picture(tmp_path / "secret.png", 9)
    for k in range(2):
        picture(tmp_path / "data" / f"{k}.png", k)
    row = name.replace("ABSOLUTE", str(secret))
    (tmp_path / "data" / "metadata.csv").write_text(f"file_name,label\n0.png,a\n1.png,b\n{row},a\n")
    found = open_dataset(str(tmp_path / "data"))
    assert [s.id for s in found.samples] == ["0.png", "1.png"]
    assert [s.reason for s in found.skipped] == ["outside of the dataset"]


def test_an_adaptation_names_only_its_own_checkpoints(tmp_path: Path) -> None:
    from imaginate.models.adaptations.folder import Manifest, checkpoint_folder, read_manifest

    (tmp_path / "far").mkdir()
    folder = tmp_path / "fit"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "planted").symlink_to(tmp_path / "far")
    given = {"technique": "imagic", "family": "diffusion", "prior": "nano", "fingerprint": {}, "classes": []}
    for name in ("../../far", "planted", str(tmp_path / "far")):
        Manifest(**given, settings={}, checkpoints={"best": name}, chosen="best").write(folder)  # type: ignore[arg-type]
        manifest = read_manifest(folder)
        assert manifest is not None
        with pytest.raises(ImaginateError, match="outside of it"):
            checkpoint_folder(manifest, folder)


def test_a_saved_dataset_names_only_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "secret.arrow").write_bytes(b"")
    for name in ("../secret.arrow", str(tmp_path / "secret.arrow")):
        (tmp_path / "saved" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
        (tmp_path / "saved" / "dataset_info.json").write_text("{}")
        with pytest.raises(ImaginateError, match="outside of it"):
            open_dataset(str(tmp_path / "saved"))
    shutil.rmtree(tmp_path / "saved")
