"""A picture of img2dataset as it was taken: upright, without the white border that makes it a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.downloads import Resized, as_taken
from imaginate.records import FileBacked, ImageSource


@dataclass(frozen=True, slots=True)
class DownloadedSource:
    """Another source's picture, and what is known of its resizing."""

    is_whole_file: ClassVar[bool] = False  # its bytes may be others than the file's

    inner: ImageSource
    resized: Resized

    @property
    def path(self) -> str:
        """The file that holds it; "" where that is none."""
        return self.inner.path if isinstance(self.inner, FileBacked) else ""

    def read(self) -> bytes:
        """The bytes as they are, or PNG of what is inside the border."""
        return as_taken(self.inner.read(), self.resized)
