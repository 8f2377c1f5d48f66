"""The archives that we write are those of `tarfile`, byte for byte."""

from __future__ import annotations

import io
import tarfile

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaginate.write.tars import TarWriter, header

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=12))
def test_an_archive_is_that_of_tarfile(files: list[tuple[str, bytes]]) -> None:
    ours, theirs = io.BytesIO(), io.BytesIO()
    writer = TarWriter(ours)
    with tarfile.open(fileobj=theirs, mode="w") as tar:
        for name, data in files:
            writer.add(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    writer.close()
    assert ours.getvalue() == theirs.getvalue()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**40))
def test_a_size_of_any_length_is_read_back(size: int) -> None:
    read = tarfile.TarInfo.frombuf(header("a.png", size)[-512:], tarfile.ENCODING, "surrogateescape")
    assert read.size == size or header("a.png", size)[156:157] == b"x"  # of a record that says more
