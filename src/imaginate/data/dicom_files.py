"""DICOM files of a folder: the frames of one are images of their own, and those of a patient or series belong together.

Three tags are read for it. They are kept as a hash that is another for every program, and are written nowhere.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imaginate.data import known_formats
from imaginate.data.decoding import has_image_suffix
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.frame import FrameSource
from imaginate.files import short_hash
from imaginate.records import Listing, Sample

GROUP = "group"  # the key of `Sample.meta` that images share which must stay on one side of a cut
_SALT = secrets.token_hex(8)
_TAGS = ["NumberOfFrames", "PatientID", "PatientName", "SeriesInstanceUID"]


@dataclass(frozen=True, slots=True)
class _Said:
    frames: int
    group: str | None


def with_frames(listing: Listing) -> Listing:
    """The listing with each frame of a DICOM file as an image, and the group of each; others as they are."""
    if not known_formats.is_installed("pydicom"):
        return listing
    samples = [one for sample in listing.samples for one in _frames(sample)]
    if samples == list(listing.samples):
        return listing
    films = {s.id.rpartition("#")[0] for s in samples if isinstance(s.source, FrameSource)}
    count = sum(isinstance(s.source, FrameSource) for s in samples)
    note = [f"{len(films)} files hold {count} frames, each of which is an image"] if films else []
    return replace(listing, samples=samples, notes=(*listing.notes, *note))


def _frames(sample: Sample) -> Iterator[Sample]:
    source = sample.source
    said = _said(source.path) if isinstance(source, FileSource) and not has_image_suffix(source.path) else None
    if said is None:
        yield sample
        return
    meta = {**sample.meta, **({} if said.group is None else {GROUP: said.group})}
    if said.frames < 2:
        yield replace(sample, meta=meta)
        return
    for page in range(1, said.frames + 1):
        yield replace(sample, id=f"{sample.id}#{page}", source=FrameSource(source, page), meta=meta)


def _said(path: str) -> _Said | None:
    """What the header of a DICOM file says; None for any other file, or a damaged one."""
    try:
        with open(path, "rb") as file:
            if not known_formats.is_dicom(file.read(known_formats.HEAD)):
                return None
        import pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        frames = int(header.get("NumberOfFrames", 1) or 1)
    except Exception:  # pydicom raises errors of many kinds; the decoder says what is wrong with the file
        return None
    names: Sequence[str] = [str(header.get(tag) or "") for tag in _TAGS[1:]]
    whose = names[0] or names[1] or names[2]
    return _Said(frames, short_hash([_SALT, whose]) if whose else None)
