"""One row of an arrow stream file, which is mapped, so that a row costs its own bytes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imaginate.data.arrow import batches, cell_bytes
from imaginate.errors import ImageError


@dataclass(frozen=True, slots=True)
class ArrowSource:
    """One row of an arrow stream file."""

    is_whole_file: ClassVar[bool] = False

    path: str
    batch: int
    row: int
    column: str

    def read(self) -> bytes:
        """The row's bytes, or those of the file that the row names."""
        try:
            cell = batches(self.path)[self.batch].column(self.column)[self.row].as_py()
        except (OSError, IndexError, KeyError, ValueError):
            raise ImageError("damaged arrow file") from None
        return cell_bytes(cell, self.path)
