"""NIfTI volumes, by nibabel: one axial slice, right way up, the middle one unless `--page` says another.

The volume is first turned to its canonical orientation (right, anterior, superior); a slice then has the front of the
body on top and its right side on the right. Numbers are scaled as the header says, never by the slice.
"""

from __future__ import annotations

import gzip
import zlib
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from imaginate.data import known_formats
from imaginate.data.known_formats import is_nifti
from imaginate.data.picture_files import check_size
from imaginate.data.pixels import Pixels
from imaginate.data.reading import MAX_BYTES
from imaginate.data.rendering import Numbers, Volume, render
from imaginate.errors import ImageError


class NiftiSlice:
    """Decodes one slice of a volume of three dimensions."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 40

    def recognises(self, head: bytes) -> bool:
        """By the header, where nibabel is installed."""
        return is_nifti(head) and known_formats.is_installed("nibabel")

    def decode(self, data: bytes) -> Pixels:
        """Encoded volume -> (h, w, 3) uint8 RGB of a slice. Raises ImageError."""
        return render(self.numbers(data, None, None))

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Numbers:
        """The numbers of a slice. Raises ImageError."""
        volume = self.volume(data)
        if page is not None and page > volume.count:
            raise ImageError(f"has no page {page}")
        values = volume.slice(volume.count // 2 + 1 if page is None else page)
        if values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
            values = values.astype(np.int32)
        kind = "float32" if values.dtype.kind == "f" else "int32"
        return Numbers(values, kind, pages=volume.count, shown="the middle slice")

    def volume(self, data: bytes) -> Volume:
        """All slices, from the feet up. Raises ImageError."""
        return Volume(_volume(data).transpose(2, 1, 0)[:, ::-1])


def _unpacked(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        found = zlib.decompressobj(31).decompress(data, MAX_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        raise ImageError("damaged NIfTI") from None
    if len(found) == MAX_BYTES:
        raise ImageError("file too large")
    return found


@lru_cache(maxsize=1)  # its slices are asked for one after the other
def _volume(packed: bytes) -> Any:
    """(x, y, z), scaled, in canonical orientation; of several volumes in time the first."""
    import nibabel

    data = _unpacked(packed)

    kind = nibabel.Nifti2Image if data[4:8] == b"n+2\0" else nibabel.Nifti1Image
    try:
        image = nibabel.as_closest_canonical(kind.from_bytes(data))
        values = np.asanyarray(image.dataobj)
    except Exception:  # nibabel raises errors of many kinds on damaged headers
        raise ImageError("damaged NIfTI") from None
    values = values[..., 0] if values.ndim == 4 else values
    if values.ndim != 3:
        raise ImageError(f"NIfTI of {values.ndim} dimensions")
    check_size(values.shape[0], values.shape[1])
    return values
