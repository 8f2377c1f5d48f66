"""Atomic files, and every failure of an output folder as one line that says what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imaginate import files
from imaginate.errors import RunError
from imaginate.files import Folder, explained
from imaginate.ops.noise import substream
from imaginate.records import image_seed


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOENT, errno.EISDIR, errno.EIO, errno.ENAMETOOLONG, None])
def test_every_error_of_the_system_is_explained(code: int | None) -> None:
    error = OSError("first line\nsecond") if code is None else OSError(code, os.strerror(code))
    with pytest.raises(RunError) as caught, explained("/some/where"):
        raise error
    assert str(caught.value).startswith("cannot write /some/where: ")
    assert "\n" not in str(caught.value)
    if code == errno.EIO:
        assert "Input/output error" in str(caught.value)


def test_an_address_that_nothing_opens_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunError, match=r"cannot open foo://bucket/run: .*foo"):
        Folder("foo://bucket/run").exists("")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(RunError, match=r"cannot open s3://bucket/run: .*s3fs") as caught:
        Folder("s3://bucket/run").put("a", b"")
    assert "\n" not in str(caught.value)


def test_unfinished_files_of_killed_processes_go_with_the_next_write(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = files.HOST
    stale = tmp_path / f".a.bin.{host}-{int(dead.stdout)}-0.partial"
    alive = tmp_path / f".a.bin.{host}-{os.getpid()}-99.partial"
    other = tmp_path / f".b.bin.{host}-{int(dead.stdout)}-0.partial"
    elsewhere = tmp_path / f".a.bin.other-host-{int(dead.stdout)}-0.partial"
    for path in (stale, alive, other, elsewhere):
        path.write_bytes(b"half")
    files.replace_file(tmp_path / "a.bin", lambda partial: partial.write_bytes(b"whole"))
    assert (tmp_path / "a.bin").read_bytes() == b"whole"
    assert not stale.exists()
    assert alive.exists()
    assert other.exists()
    assert elsewhere.exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.json"
    files.replace_file(target, lambda partial: partial.write_text("one"))

    def fail(partial: Path) -> None:
        partial.write_text("tw")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.replace_file(target, fail)
    assert target.read_text() == "one"
    assert [p.name for p in target.parent.iterdir()] == ["a.json"]


def test_files_have_the_permissions_of_the_user(tmp_path: Path) -> None:
    def write(partial: Path) -> None:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600))

    files.replace_file(tmp_path / "weights", write)
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("write", ["put", "move", "writing", "link"])
def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path, write: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "run" / "rejected").symlink_to(tmp_path / "victim")
    folder = Folder(tmp_path / "run")
    folder.put("a", b"1")
    with pytest.raises(RunError, match="is a link to"):  # noqa: PT012
        if write == "put":
            folder.put("rejected/a", b"2")
        elif write == "move":
            folder.move("a", "rejected/a")
        elif write == "link":
            folder.link("rejected/a", str(tmp_path))
        else:
            with folder.writing("rejected/a") as file:
                file.write(b"2")
    assert list((tmp_path / "victim").iterdir()) == []


def test_hashes_and_seeds_stay_what_they_are() -> None:
    """These values are in the files of earlier runs."""
    assert files.content_hash(b"abc") == files.content_hash(b"a", b"bc") == "cf4ab791c62b8d2b2109c90275287816"
    assert files.short_hash({"b": 1, "a": [2]}) == files.short_hash({"a": [2], "b": 1}) == "786930339dfe86bd"
    for rows in ([], [["rose/1.png", 0, "ab"]], [["rose/\u00e91.png", 0, "ab"], ['b"', 1, None]]):
        assert files.short_hash_of_rows(["a", "b"], iter(rows)) == files.short_hash([["a", "b"], rows])
    assert image_seed(0, "cutout", "rose/1.png", 3) == 3278063345489892173
    assert substream(7, "noise") == 1595659848411521608
    assert files.derive_seed("validation", 0, 2) == 1200553317707708355


@pytest.mark.parametrize("name", ["images/cat[1]/x.png", "images/a*/x.png", "images/what?/x.png"])
def test_a_name_with_the_signs_of_a_pattern_is_itself_on_a_store(name: str, tmp_path: Path) -> None:
    store = Folder(f"memory://{tmp_path.name}-signs")
    others = ["images/cat1/x.png", "images/ab/x.png", "images/whats/x.png"]
    for each in [name, *others]:
        store.put(each, each.encode())
    store.move(name, "rejected/x.png")
    assert store.get("rejected/x.png") == name.encode()
    assert not store.exists(name)
    assert [store.get(each) for each in others] == [each.encode() for each in others]
