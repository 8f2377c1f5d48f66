"""Volumes of a source (NIfTI, NRRD, MHA): which of their slices are images; those of one volume belong together.

A volume next to it with `mask`, `seg` or `label` at the end of its name (`case1_seg.nii.gz`) marks the slices that show
something, and is no image itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from imaginate.data.decoding import has_image_suffix, volume_of
from imaginate.data.slices import Slices
from imaginate.data.sources.frame import FrameSource
from imaginate.errors import ImageError
from imaginate.records import GROUP, Listing, Sample, Skipped

IS_MASK = "mask of a volume that is there"
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
_MASK = re.compile(r"^(.+)[-_.](mask|seg|segmentation|label|labels|labelmap|roi|lesion|gt)$", re.IGNORECASE)


def with_slices(listing: Listing, slices: Slices) -> Listing:
    """The listing with the slices that are asked for as images, and without the masks of volumes."""
    names = {sample.id for sample in listing.samples}
    found = [sample for sample in listing.samples if _is_volume(sample)]
    if not found:
        return listing
    stems = {_stem(sample.id): sample for sample in found}
    masks = {stems[owner].id: mask for stem, mask in stems.items() if (owner := _owner(stem)) in stems}
    is_mask = {mask.id for mask in masks.values()}
    skipped = [Skipped(s.id, IS_MASK, s.split) for s in found if s.id in is_mask]
    samples: list[Sample] = []
    asked = {sample.id for sample in found} - is_mask if not slices.is_default else set()
    for sample in listing.samples:
        if sample.id in asked:
            cut = _cut(sample, masks.get(sample.id), slices)
            samples += cut if isinstance(cut, list) else []
            skipped += [Skipped(sample.id, cut, sample.split)] if isinstance(cut, str) else []
        elif sample.id not in is_mask:
            samples.append(sample)
    count = sum(sample.id not in names for sample in samples)
    notes = [f"{count} slices of {len(asked)} volumes are images ({slices})"] if asked else []
    return replace(listing, samples=samples, skipped=(*listing.skipped, *skipped), notes=(*listing.notes, *notes))


def _is_volume(sample: Sample) -> bool:
    return sample.id.lower().endswith(_ENDINGS) and not has_image_suffix(sample.id)


def _stem(name: str) -> str:
    lower = name.lower()
    return name[: -len(next(ending for ending in _ENDINGS if lower.endswith(ending)))]


def _owner(stem: str) -> str:
    """The name of the volume that this one marks, by its own name; "" where it marks none."""
    folder, name = os.path.split(stem)
    match = _MASK.match(name)
    return os.path.join(folder, match[1]) if match else ""


def _cut(sample: Sample, mask: Sample | None, slices: Slices) -> list[Sample] | str:
    """The slices of a volume as samples, or why it has none."""
    try:
        pages: Sequence[int]
        if slices.word == "mask":
            if mask is None:
                return "volume without a mask"
            pages = list(_marked(mask))
        else:
            pages = slices.pages(volume_of(sample.source).count)
    except ImageError as error:
        return str(error)
    if not pages:
        return "its mask is empty"
    meta = {**sample.meta, GROUP: sample.id}
    return [replace(sample, id=f"{sample.id}#{n}", source=FrameSource(sample.source, n), meta=meta) for n in pages]


def _marked(mask: Sample) -> Iterator[int]:
    """The slices, from 1, in which a mask is not 0."""
    volume = volume_of(mask.source)
    return (page for page in range(1, volume.count + 1) if volume.slice(page).any())
