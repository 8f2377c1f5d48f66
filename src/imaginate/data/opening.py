"""One door to every format: the first reader that recognises a path lists it, then split and subset are chosen."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

from imaginate import registry
from imaginate.data import classes, splits
from imaginate.data.dataset import Dataset
from imaginate.data.decoding import pixels_of
from imaginate.data.listing import nothing
from imaginate.data.place import examine, words_for
from imaginate.data.spec import DataSpec
from imaginate.data.subset import take_fraction, take_shots
from imaginate.errors import DataError, ImageError
from imaginate.records import Listing, Part, Sample, Skipped
from imaginate.settings import build


def open_dataset(source: str | os.PathLike[str] | DataSpec, **overrides: Any) -> Dataset:
    """The samples of a dataset, listed but not read. `overrides` are fields of DataSpec.

    Raises DataError in one line: nothing there, nothing that fits, no such split, no usable image.
    """
    given = asdict(source) if isinstance(source, DataSpec) else {"path": os.fspath(source)}
    spec = build(DataSpec, {**given, **overrides}, where="data")
    listing = list_samples(spec)
    split = splits.choose(listing.splits, spec.split)
    chosen = [sample for sample in listing.samples if split is None or sample.split == split]
    skipped = [item for item in listing.skipped if split is None or item.split in (None, split)]
    notes = list(listing.notes)
    if spec.split is None and len(listing.splits) > 1:
        which = f"split {split!r}, one of" if split else "all of the splits"
        notes.append(f"reading {which} {', '.join(listing.splits)}")
    notes += _thin(chosen, len(listing.labels))
    chosen, broken, more = _subset(chosen, spec)
    _need_one(spec.path, chosen, [*skipped, *broken])
    labels, more_notes = classes.describe(listing.labels, spec.path, spec.classes_file)
    return Dataset(
        name=os.path.basename(os.path.normpath(spec.path)).split(".")[0],
        spec=spec,
        format=listing.format,
        labels=labels,
        samples=tuple(chosen),
        skipped=(*skipped, *broken),
        split=split,
        splits=listing.splits,
        notes=(*notes, *more_notes, *more),
    )


def verify(dataset: Dataset) -> Dataset:
    """The dataset without the images that cannot be decoded; those are in `skipped`. Reads every image once."""
    good: list[Sample] = []
    bad: list[Skipped] = []
    for sample in dataset.samples:
        try:
            pixels_of(sample)
            good.append(sample)
        except ImageError as error:
            bad.append(Skipped(sample.id, str(error), sample.split))
    if not good:
        raise DataError(nothing(dataset.spec.path, [*dataset.skipped, *bad]))
    return replace(dataset, samples=tuple(good), skipped=(*dataset.skipped, *bad))


def list_samples(spec: DataSpec) -> Listing:
    """The listing of what is at the path, by the first reader that recognises it. Raises DataError that says what was
    found and what is supported."""
    place = examine(spec.path)
    reader = next((reader for reader in registry.in_order("readers") if reader.recognises(place)), None)
    if reader is None and place.kind == "missing":
        raise DataError(f"there is nothing at {place.path}")
    if reader is None:
        supported = ", ".join(reader.layout for reader in reversed(registry.in_order("readers")))
        raise DataError(f"{place.path} is {words_for(place)}; supported: {supported}")
    listing = reader.read(place, Part(split=spec.split, origin=spec.origin))
    if spec.origin != "all" and not listing.has_origins:
        raise DataError(f"origin {spec.origin!r} needs a run; {place.path} is read as {listing.format}")
    return listing


def _subset(samples: list[Sample], spec: DataSpec) -> tuple[list[Sample], list[Skipped], list[str]]:
    """Fraction first, then shots; a note where a class has fewer images than asked."""
    broken: list[Skipped] = []
    notes: list[str] = []
    if spec.fraction is not None:
        samples = take_fraction(samples, spec.fraction, spec.subset_seed)
    if spec.shots is not None:
        samples, broken = take_shots(samples, spec.shots, spec.subset_seed, pixels_of)
        counts = Counter(sample.label for sample in samples)
        few = sum(count < spec.shots for count in counts.values())
        if few:
            notes.append(f"{few} of {len(counts)} classes have fewer than {spec.shots} images; all of theirs are used")
    return samples, broken, notes


def _thin(samples: list[Sample], classes: int) -> list[str]:
    """Notes on classes with one image or none."""
    counts = Counter(sample.label for sample in samples)
    single = sum(count == 1 for count in counts.values())
    notes = [f"{classes - len(counts)} of {classes} classes have no image here"] if len(counts) < classes else []
    return [*notes, f"{single} of {classes} classes have a single image"] if single else notes


def _need_one(path: str, samples: list[Sample], skipped: list[Skipped]) -> None:
    """DataError unless at least one image can be decoded; stops at the first that can."""
    bad = list(skipped)
    for sample in samples:
        try:
            pixels_of(sample)
            return
        except ImageError as error:
            bad.append(Skipped(sample.id, str(error)))
    raise DataError(nothing(path, bad))
