"""Headers of tars. A name, a link or a table of facts may have a header of its own, whose length the tar says: read as
it is said, a kilobyte of a tar fills the memory."""

from __future__ import annotations

import os
import tarfile

from imaginate.limits import HEADER_BYTES

_WITH_TEXT = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
# What a damaged tar raises: lengths that are no numbers, and headers of headers of headers.
DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, RecursionError)


class TooLong(tarfile.TarError):
    """A header says that it has more bytes than any has."""


class Header(tarfile.TarInfo):
    """The header of a member, as `tarfile.open(..., tarinfo=Header)` takes it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        """TooLong where its text has more bytes than `HEADER_BYTES`."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _WITH_TEXT and found.size > HEADER_BYTES:
            raise TooLong(f"a header has {found.size:,} bytes, as it says; at most {HEADER_BYTES:,} are read")
        return found


def is_tar(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a tar does, packed or not."""
    try:
        with tarfile.open(path, tarinfo=Header):
            return True
    except TooLong:
        return True
    except DAMAGE:
        return False
