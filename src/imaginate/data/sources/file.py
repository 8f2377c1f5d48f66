"""One image, one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.reading import read_file


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file, local or behind a URL."""

    is_whole_file: ClassVar[bool] = True

    path: str

    def read(self) -> bytes:
        """The file's bytes."""
        return read_file(self.path)
