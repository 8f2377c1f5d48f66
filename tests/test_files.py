"""Every failure of an output folder is one line that says what to do."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from imaginate.errors import RunError
from imaginate.files import Folder, explained


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
