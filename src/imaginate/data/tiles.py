"""Slides of a source -> tiles as images of their own: those of background are left out, those of one slide belong
together.

Background is bright and grey, as glass is. It is found on the small page of the slide, or on the tiles themselves where
there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from imaginate.data.known_formats import HEAD
from imaginate.data.sources.file import FileSource
from imaginate.data.tiff_tags import is_tiff
from imaginate.data.urls import is_url
from imaginate.errors import ImageError
from imaginate.records import GROUP, Listing, Sample, Skipped

if TYPE_CHECKING:
    import numpy as np

    from imaginate.data.slides import Slide

_SUFFIXES = (".svs", ".ndpi", ".scn", ".bif", ".vms", ".vmu", ".mrxs", ".tif", ".tiff", ".btf", ".svslide")
_TISSUE = 0.1  # the share of a tile that has to be other than background


def with_tiles(listing: Listing, side: int) -> Listing:
    """The listing with the tiles of its slides in their place; other images as they are. A picture that is smaller than
    a tile is skipped."""
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    slides, cut, empty = 0, 0, 0
    for sample in listing.samples:
        if not isinstance(sample.source, FileSource) or not _is_slide(sample.source.path):
            samples.append(sample)
            continue
        try:
            tiles, left = _tiles(sample, sample.source.path, side)
        except ImageError as error:
            skipped.append(Skipped(sample.id, str(error), sample.split))
            continue
        slides, cut, empty = slides + 1, cut + len(tiles), empty + left
        samples += tiles
        if not tiles:
            reason = f"no tile of {side} pixels with anything but background"
            skipped.append(Skipped(sample.id, reason, sample.split))
    note = f"{slides} slides are cut into {cut} tiles of {side} pixels; {empty} tiles of background are left out"
    notes = (*listing.notes, note) if slides else listing.notes
    return replace(listing, samples=samples, skipped=(*listing.skipped, *skipped), notes=notes)


def _is_slide(path: str) -> bool:
    """By the name, or as a TIFF."""
    if is_url(path):
        return False
    if path.lower().endswith(_SUFFIXES):
        return True
    try:
        with open(path, "rb") as file:
            return is_tiff(file.read(HEAD))
    except OSError:
        return False


def _tiles(sample: Sample, path: str, side: int) -> tuple[list[Sample], int]:
    """The tiles of a slide that are not background, and how many are."""
    from imaginate.data.slides import open_slide, tiles_of
    from imaginate.data.sources.tile import TileSource

    slide = open_slide(path)
    corners = list(tiles_of(slide.size, side))
    kept = list(_with_tissue(slide, corners, side))
    meta = {**sample.meta, GROUP: sample.id}
    tiles = [
        replace(sample, id=f"{sample.id}#x{x}y{y}", source=TileSource(path, x, y, side), meta=meta) for x, y in kept
    ]
    return tiles, len(corners) - len(kept)


def _with_tissue(slide: Slide, corners: list[tuple[int, int]], side: int) -> Iterator[tuple[int, int]]:
    import numpy as np

    def is_tissue(pixels: np.ndarray) -> np.ndarray:
        levels = pixels.astype(np.int16)
        found: np.ndarray = (levels.max(axis=-1) - levels.min(axis=-1) > 20) | (levels.mean(axis=-1) < 180)
        return found

    small = slide.overview()
    width, height = slide.size
    seen = is_tissue(small) if small is not None else None
    for x, y in corners:
        if seen is None:
            part = is_tissue(slide.region(x, y, side, side)[::4, ::4])
        else:
            rows, columns = seen.shape
            top, left = y * rows // height, x * columns // width
            bottom, right = -(-(y + side) * rows // height), -(-(x + side) * columns // width)
            part = seen[top : max(bottom, top + 1), left : max(right, left + 1)]
        if part.size and part.mean() >= _TISSUE:
            yield x, y
