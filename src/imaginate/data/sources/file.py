"""One image, one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.reading import read_file


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file, local or behind a URL: a path, or one below a folder whose name all images of a dataset share."""

    is_whole_file: ClassVar[bool] = True

    name: str
    folder: str = ""

    @property
    def path(self) -> str:
        """Where the file is."""
        return os.path.join(self.folder, self.name) if self.folder else self.name

    def read(self) -> bytes:
        """The file's bytes."""
        return read_file(self.path)
