"""Files that hold several pictures: which of them are images. A film has frames, a volume slices, a slide tiles."""

from __future__ import annotations

from imaginate.data.decoding import has_image_suffix
from imaginate.data.dicom_files import with_frames
from imaginate.data.packed import endings_of
from imaginate.data.slices import Slices
from imaginate.data.spec import DataSpec
from imaginate.data.tiles import with_tiles
from imaginate.data.volumes import with_slices
from imaginate.records import Listing


def with_pictures(listing: Listing, spec: DataSpec) -> Listing:
    """The listing with the pictures of such files as images of their own, and what belongs together in `Sample.meta`;
    all else as it is. A run holds none."""
    if listing.has_origins:
        return listing
    slices = Slices.of(spec.slices)
    if not all(map(has_image_suffix, endings_of(listing.samples))):  # a header says the rest
        listing = with_slices(with_frames(listing, slices), slices)
    return listing if spec.tiles is None else with_tiles(listing, spec.tiles)
