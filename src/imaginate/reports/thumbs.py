"""Small pictures inside the page: encoded bytes -> a data URI."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from imaginate.errors import RunError
from imaginate.files import Folder

SIDE = 112


@dataclass(frozen=True, slots=True)
class Thumb:
    """A picture ready for an `img` element, with its size in pixels."""

    uri: str
    width: int
    height: int


def thumb(data: bytes, side: int = SIDE) -> Thumb | None:
    """A WebP of at most `side` pixels a side (small pictures keep their size); None where the bytes are no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        return None
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=88 if max(picture.size) <= 64 else 74, method=2)
    return Thumb("data:image/webp;base64," + base64.b64encode(out.getvalue()).decode(), *picture.size)


def thumb_of(folder: Folder, name: str, side: int = SIDE) -> Thumb | None:
    """The thumbnail of a file of a run; None where it is missing or no image."""
    try:
        return thumb(folder.get(name), side)
    except (RunError, OSError, ValueError):  # gone, or a name that no file has
        return None
