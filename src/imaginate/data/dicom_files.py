"""DICOM files of a source: the frames of one are images of their own, and those of a patient or series belong together.

Three tags are read for it, and the one that `--label-tag` asks for. They are written nowhere: a group bears the name of
its first image, and labels come from tags that name no person.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from imaginate.data import known_formats
from imaginate.data.decoding import has_image_suffix
from imaginate.data.labelling import NO_LABEL, Labeller
from imaginate.data.slices import Slices
from imaginate.data.sources.file import FileSource
from imaginate.data.sources.frame import FrameSource
from imaginate.data.splits import of_folder, ordered
from imaginate.errors import DataError, ImageError
from imaginate.records import GROUP, ImageSource, LabelTag, Listing, Sample, Skipped

_TAGS = ["NumberOfFrames", "PatientID", "PatientName", "SeriesInstanceUID"]
NO_DICOM = "not a DICOM file"


@dataclass(frozen=True, slots=True)
class _Said:
    """`whose`: the patient, or the series; kept for the time of a listing."""

    frames: int
    whose: str | None


def with_frames(listing: Listing, slices: Slices) -> Listing:
    """The listing with the frames of a DICOM file as images (all, or those of `slices`), and the group of each; others
    as they are."""
    if not known_formats.is_installed("pydicom"):
        return listing
    first: dict[str, str] = {}
    samples = [one for sample in listing.samples for one in _frames(sample, slices, first)]
    if samples == list(listing.samples):
        return listing
    films = {s.id.rpartition("#")[0] for s in samples if isinstance(s.source, FrameSource)}
    count = sum(isinstance(s.source, FrameSource) for s in samples)
    note = [f"{len(films)} files hold {count} frames, each of which is an image"] if films and slices.is_default else []
    note = [f"{count} frames of {len(films)} files are images"] if films and not slices.is_default else note
    return replace(listing, samples=samples, notes=(*listing.notes, *note))


def labelled_by(tag: LabelTag, paths: Sequence[tuple[str, str]], where: str) -> Listing:
    """DICOM files (name, path) with the value of a tag as the class; folders on top that are named like splits are."""
    if not known_formats.is_installed("pydicom"):
        raise DataError("--label-tag reads DICOM: pip install 'imaginate[medical]'")
    values = [(name, path, _value(path, tag)) for name, path in paths]
    labeller = Labeller(None, where=where, column=tag)
    labeller.see(value for *_, value in values if value is not None)
    splits = {name: of_folder(name.split("/")[0]) if "/" in name else None for name, _ in paths}
    has_splits = bool(splits) and all(splits[name] for name, _, value in values if value is not None)
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for name, path, value in values:
        split = splits[name] if has_splits else None
        label = NO_DICOM if value is None else labeller.label(value) if value else NO_LABEL
        if isinstance(label, str):
            skipped.append(Skipped(name, label, split))
        else:
            samples.append(Sample(id=name, label=label, source=FileSource(path), split=split))
    if not samples:
        raise DataError(f"no file in {where} is a DICOM with the tag {tag}: of {len(values)} files, {len(skipped)} not")
    there = ordered(sample.split for sample in samples if sample.split)
    notes = (f"the classes are the values of the tag {tag}",)
    return Listing(
        format="DICOM files", labels=labeller.space, samples=samples, skipped=skipped, splits=there, notes=notes
    )


def _value(path: str, tag: LabelTag) -> str | None:
    """The value of a tag, the first of several, as text; "" where it has none, None of a file that is no DICOM."""
    header = _header(FileSource(path), [tag])
    if header is None:
        return None
    value = header.get(tag)
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return str(several[0] if several and several[0] is not None else "").strip()


def _frames(sample: Sample, slices: Slices, first: dict[str, str]) -> Iterator[Sample]:
    said = None if has_image_suffix(sample.id) else _said(sample.source)
    if said is None:
        yield sample
        return
    group = None if said.whose is None else first.setdefault(said.whose, sample.id)
    meta = {**sample.meta, **({} if group is None else {GROUP: group})}
    if said.frames < 2:
        yield replace(sample, meta=meta)
        return
    for page in range(1, said.frames + 1) if slices.is_default else slices.pages(said.frames):
        yield replace(sample, id=f"{sample.id}#{page}", source=FrameSource(sample.source, page), meta=meta)


def _said(source: ImageSource) -> _Said | None:
    """What the header of a DICOM file says; None for any other file, or a damaged one."""
    header = _header(source, _TAGS)
    if header is None:
        return None
    try:
        frames = int(header.get("NumberOfFrames", 1) or 1)
    except (TypeError, ValueError):
        return None
    names = [str(header.get(tag) or "") for tag in _TAGS[1:]]
    return _Said(frames, names[0] or names[1] or names[2] or None)


def _header(source: ImageSource, tags: Sequence[str]) -> Mapping[str, Any] | None:
    """These tags of a DICOM file; None for any other file, or a damaged one."""
    try:
        with _opened(source) as file:
            if not known_formats.is_dicom(file.read(known_formats.HEAD)):
                return None
            file.seek(0)
            import pydicom

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(tags))
                return {tag: found.get(tag) for tag in tags}
    except Exception:  # pydicom raises errors of many kinds; the decoder says what is wrong with the file
        return None


def _opened(source: ImageSource) -> IO[bytes]:
    """A file, or the bytes of a member of an archive. Raises ImageError."""
    if isinstance(source, FileSource):
        return open(source.path, "rb")
    try:
        return io.BytesIO(source.read())
    except ImageError:
        return io.BytesIO()
