"""NRRD and MetaImage (MHA) volumes, by SimpleITK: one axial slice, right way up, the middle one unless `--page` says.

The volume is first turned so that rows run from front to back and columns from the body's left to its right; numbers
are as they are stored, never scaled by the slice.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from typing import Any, ClassVar

from imaginate.data import known_formats
from imaginate.data.known_formats import is_volume
from imaginate.data.picture_files import check_size
from imaginate.data.pixels import Pixels
from imaginate.data.rendering import Numbers, Volume, render
from imaginate.errors import ImageError


class VolumeSlice:
    """Decodes one slice of a volume that is whole in its file."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 50

    def recognises(self, head: bytes) -> bool:
        """By the header, where SimpleITK is installed."""
        return is_volume(head) and known_formats.is_installed("SimpleITK")

    def decode(self, data: bytes) -> Pixels:
        """Encoded volume -> (h, w, 3) uint8 RGB of a slice. Raises ImageError."""
        return render(self.numbers(data, None, None))

    def numbers(self, data: bytes, page: int | None, channels: tuple[int, ...] | None) -> Numbers:
        """The numbers of a slice. Raises ImageError."""
        volume = self.volume(data)
        if page is not None and page > volume.count:
            raise ImageError(f"has no page {page}")
        values = volume.slice(volume.count // 2 + 1 if page is None else page)
        kind = "float32" if values.dtype.kind == "f" else "int32"
        return Numbers(values, kind, pages=volume.count, shown="the middle slice")

    def volume(self, data: bytes) -> Volume:
        """All slices, from the feet up. Raises ImageError."""
        return Volume(_volume(data))


@lru_cache(maxsize=1)  # its slices are asked for one after the other
def _volume(data: bytes) -> Any:
    """(slice, row, column). SimpleITK reads files alone, so the bytes are one for a moment."""
    import SimpleITK as sitk

    ending = ".nrrd" if data.startswith(b"NRRD") else ".mha"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "volume" + ending)
        with open(path, "wb") as file:
            file.write(data)
        try:
            image = sitk.ReadImage(path)
            if image.GetDimension() == 3:
                image = sitk.DICOMOrient(image, "RPS")
            values = sitk.GetArrayFromImage(image)
        except RuntimeError:
            raise ImageError("damaged volume, or its numbers are in another file") from None
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise ImageError(f"volume of {values.ndim} dimensions")
    check_size(values.shape[2], values.shape[1])
    return values
