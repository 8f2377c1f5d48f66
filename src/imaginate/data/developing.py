"""A camera raw -> a picture, by rawpy."""

from __future__ import annotations

import io

import numpy as np

from imaginate.data.known_formats import raw_reason
from imaginate.data.picture_files import check_size
from imaginate.data.pixels import Pixels
from imaginate.errors import ImageError


def develop(data: bytes) -> Pixels:
    """(h, w, 3) uint8 RGB, upright. Raises ImageError, also where rawpy is not installed."""
    if reason := raw_reason():
        raise ImageError(reason)
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            check_size(raw.sizes.width, raw.sizes.height)
            return np.array(raw.postprocess(use_camera_wb=True, output_bps=8))
    except (rawpy.LibRawError, OSError, ValueError):
        raise ImageError("damaged camera raw") from None
