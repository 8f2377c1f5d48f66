"""Tars with headers that are larger than any is, without end, or no headers at all: one line, and no memory taken."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data import zoo
from imaginate.data import open_dataset
from imaginate.data.tar_headers import is_tar
from imaginate.errors import DataError
from imaginate.limits import HEADER_BYTES

TEXTS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """The block of a header."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def pictures() -> bytes:
    """A tar of two pictures, without its end."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("a/0.png", "b/0.png"):
            info = tarfile.TarInfo(name)
            info.size = len(zoo.png())
            tar.addfile(info, io.BytesIO(zoo.png()))
        end = tar.offset
    return out.getvalue()[:end]


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_of_a_petabyte_is_one_line(kind: bytes, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    place = tmp_path / "a.tar"
    place.write_bytes(pack(header(kind, 2**50) + bytes(1024)))
    assert is_tar(place)
    with pytest.raises(DataError, match=rf"1,125,899,906,842,624 bytes, as it says; at most {HEADER_BYTES:,}") as said:
        open_dataset(str(place))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("kind", TEXTS)
def test_what_came_before_such_a_header_is_read(kind: bytes, tmp_path: Path) -> None:
    place = tmp_path / "a.tar"
    place.write_bytes(pictures() + header(kind, HEADER_BYTES + 1) + bytes(1024))
    found = open_dataset(str(place))
    assert [s.id for s in found.samples] == ["a/0.png", "b/0.png"]
    assert [s.reason for s in found.skipped] == ["damaged archive"]


@pytest.mark.parametrize(
    "tail",
    [
        header(tarfile.GNUTYPE_LONGNAME, 1) * 1 + b"n" + bytes(511),
        (header(tarfile.GNUTYPE_LONGNAME, 1) + b"n" + bytes(511)) * 3000,
        header(tarfile.XHDTYPE, 512) + b"9" * 512,
        header(tarfile.XHDTYPE, 512) + b"30 GNU.sparse.major=x\n".ljust(512, b"\n"),
        header(tarfile.GNUTYPE_SPARSE, 512),
        header(tarfile.REGTYPE, 2**60, "c/0.png"),
        b"\xff" * 512,
    ],
    ids=["cut", "headers of headers", "no numbers", "half sparse", "sparse", "a petabyte", "noise"],
)
def test_damage_after_two_pictures_leaves_these(tail: bytes, tmp_path: Path) -> None:
    place = tmp_path / "a.tar"
    place.write_bytes(pictures() + tail)
    assert [s.id for s in open_dataset(str(place)).samples] == ["a/0.png", "b/0.png"]
