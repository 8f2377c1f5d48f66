"""One door to every format: the first reader that recognises a path lists it, then split and subset are chosen."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from imaginate import registry
from imaginate.contract import PathReader, Reader
from imaginate.data import classes, splits
from imaginate.data.collection import uncollected
from imaginate.data.dataset import Dataset
from imaginate.data.decoding import pixels_of
from imaginate.data.listing import nothing
from imaginate.data.notes import say
from imaginate.data.packed import FileSamples, labels_of, only, splits_of
from imaginate.data.photometry import decide, masks, of_window, through
from imaginate.data.place import examine, words_for
from imaginate.data.spec import DataSpec
from imaginate.data.subset import take_fraction, take_imbalanced, take_shots
from imaginate.data.urls import hub_hint
from imaginate.errors import DataError, ImageError, MisreadError
from imaginate.records import GROUP, LabelSpace, Listing, Part, Place, Sample, Skipped
from imaginate.settings import build, nearest

if TYPE_CHECKING:
    from imaginate.data.pixels import Pixels
    from imaginate.data.rendering import Rendering


@uncollected()
def open_dataset(
    source: str | os.PathLike[str] | DataSpec,
    *,
    rendered_as: Rendering | None = None,
    is_elsewhere: bool = False,
    **overrides: Any,
) -> Dataset:
    """The samples of a dataset, listed but not read. `overrides` are fields of DataSpec. `rendered_as`: how numbers of
    more than 8 bits became pictures in the dataset with which these images will be compared. `is_elsewhere`: the
    columns are those of that dataset, and this one need not have any.

    What was noticed is in `notes`, and logged once. Raises DataError in one line: nothing there, nothing that fits, no
    such split, no usable image.
    """
    given = asdict(source) if isinstance(source, DataSpec) else {"path": os.fspath(source)}
    spec = build(DataSpec, {**given, **overrides}, where="data")
    listing = choose_classes(list_samples(spec, is_elsewhere=is_elsewhere), spec.classes, spec.path)
    split = splits.choose(listing.splits, spec.split)
    chosen = listing.samples
    if split is not None:
        chosen = only(chosen, [place for place, own in enumerate(splits_of(chosen)) if own == split])
    skipped = [item for item in listing.skipped if split is None or item.split in (None, split)]
    notes = [*listing.notes, *_about_split(listing, spec, split), *_thin(chosen, listing.labels)]
    rendering, seen = decide(listing.samples, spec, rendered_as)
    chosen = through(chosen, rendering) if rendering is not None else chosen
    chosen, broken, more = _subset(chosen, spec)
    first = _first_picture(spec.path, chosen, [*skipped, *broken])
    if rendering is None and first.max() <= 1 and (window := masks(listing.samples)) is not None:
        rendering = of_window(window)
        chosen = through(chosen, rendering)
        seen.append(
            "the images hold 0 and 1 alone, and are read as black and white; --range 0..255 keeps them as they are"
        )
    notes += seen
    labels, more_notes = classes.describe(
        listing.labels, spec.path, spec.classes_file, first.shape[:2], spec.class_names
    )
    notes += [*more_notes, *_alike(labels), *more]
    say(spec.path, notes)
    return Dataset(
        name=os.path.basename(os.path.normpath(spec.path)).split(".")[0],
        spec=spec,
        format=listing.format,
        labels=labels,
        samples=chosen if isinstance(chosen, FileSamples) else tuple(chosen),
        skipped=(*skipped, *broken),
        split=split,
        splits=listing.splits,
        notes=tuple(notes),
        rendering=rendering,
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


def list_samples(spec: DataSpec, *, is_elsewhere: bool = False) -> Listing:
    """The listing of what is at the path, by the first reader that recognises it. `is_elsewhere`: the columns are those
    of another dataset, and a source without columns does without. Raises DataError that says what was found and what
    is supported."""
    place = examine(spec.path)
    by_folders = spec.layout != "auto" or spec.label_tag is not None
    asked = [r for r in registry.in_order("readers") if not by_folders or isinstance(r, PathReader)]
    if spec.label_tag is not None and (place.kind != "folder" or place.is_remote):
        raise DataError(
            f"--label-tag reads the DICOM files of a local folder: {place.path} is none; unpack it, or give its folder"
        )
    listing = _listed(place, _part(spec), asked)
    if not is_elsewhere:
        _check_columns(listing, spec, place.path)
    if spec.group_column is not None and not any(GROUP in sample.meta for sample in listing.samples):
        raise DataError(
            f"{place.path} is read as {listing.format}, whose images have no value in a column {spec.group_column!r} "
            "(--group-column)"
        )
    if spec.origin != "all" and not listing.has_origins:
        raise DataError(f"origin {spec.origin!r} needs a run; {place.path} is read as {listing.format}")
    from imaginate.data.several import with_pictures  # numpy comes with it

    return with_pictures(listing, spec)


def _listed(place: Place, part: Part, readers: Sequence[Reader]) -> Listing:
    """What the first reader lists that recognises the place; the next one is asked where it was mistaken."""
    for at, reader in enumerate(readers):
        if reader.recognises(place):
            try:
                return reader.read(place, part)
            except MisreadError as mistake:
                return _of_another(place, part, readers[at + 1 :], mistake)
    if place.kind == "missing":
        raise DataError(f"there is nothing at {place.path}{hub_hint(place.path)}")
    supported = ", ".join(reader.layout for reader in reversed(readers))
    raise DataError(f"{place.path} is {words_for(place)}; supported: {supported}")


def _of_another(place: Place, part: Part, readers: Sequence[Reader], mistake: MisreadError) -> Listing:
    """What the other readers list, with a note; the mistake is raised where they find no two classes."""
    try:
        listing = _listed(place, part, readers)
    except DataError:
        raise mistake from None
    if len(listing.labels) < 2:
        raise mistake
    return replace(listing, notes=(f"{mistake}; it is read as {listing.format}", *listing.notes))


def _check_columns(listing: Listing, spec: DataSpec, path: str) -> None:
    """DataError for a column that is asked for and that the reader does not read."""
    for setting, column in (("path_column", spec.path_column), ("label_column", spec.label_column)):
        if column is not None and setting not in listing.follows:
            raise DataError(
                f"{path} is read as {listing.format}, which has no column {column!r} (--{setting.replace('_', '-')})"
            )


def _part(spec: DataSpec) -> Part:
    return Part(
        split=spec.split,
        origin=spec.origin,
        layout=spec.layout,
        path_column=spec.path_column,
        label_column=spec.label_column,
        group_column=spec.group_column,
        encoding=spec.encoding,
        label_tag=spec.label_tag,
    )


def choose_classes(listing: Listing, names: Sequence[str] | None, path: str) -> Listing:
    """The listing with these classes alone, in the source's order. DataError for a class that is not there."""
    if names is None:
        return listing
    there = listing.labels.names
    for name in names:
        if name not in there:
            raise DataError(f"{path} has no class {name!r}{nearest(name, there)}")
    if any(sample.soft_label for sample in listing.samples):
        raise DataError(f"{path} has images of mixed classes, of which none can be left out; do without --classes")
    kept = [info for info in listing.labels if info.name in names]
    number = {there.index(info.name): label for label, info in enumerate(kept)}
    samples = [replace(s, label=number[s.label]) for s in listing.samples if s.label in number]
    note = [f"{len(kept)} of {len(there)} classes are read, as asked"] if len(kept) < len(there) else []
    return replace(listing, labels=LabelSpace(tuple(kept)), samples=samples, notes=(*listing.notes, *note))


def _about_split(listing: Listing, spec: DataSpec, split: str | None) -> list[str]:
    """Notes where the split was chosen by default: which one, and how many images are in none."""
    if spec.split is not None:
        return []
    which = f"split {split!r}, one of" if split else "all of the splits"
    notes = [f"reading {which} {', '.join(listing.splits)}"] if len(listing.splits) > 1 else []
    count = sum(own is None for own in splits_of(listing.samples)) if split else 0
    left = "1 image is" if count == 1 else f"{count} images are"
    return [*notes, f"{left} in no split, and not read; --split all reads every image"] if count else notes


def _subset(samples: Sequence[Sample], spec: DataSpec) -> tuple[Sequence[Sample], list[Skipped], list[str]]:
    """Fraction first, then shots, then the long tail; a note where a class has fewer images than asked."""
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
    if spec.imbalance is not None and samples:
        samples = take_imbalanced(samples, spec.imbalance, spec.subset_seed)
        tail = Counter(sample.label for sample in samples).values()
        ratio = max(tail) / min(tail)
        missed = f", {ratio:.1f} times fewer: the classes have too few images for {spec.imbalance:g}"
        notes.append(
            f"a long tail: {max(tail)} images of the largest class, {min(tail)} of the smallest"
            + missed * (not 0.9 < ratio / spec.imbalance < 1.1)
        )
    return samples, broken, notes


def _thin(samples: Sequence[Sample], labels: LabelSpace) -> list[str]:
    """Notes on classes with one image or none, and on a lone class."""
    counts = Counter(labels_of(samples))
    single = sum(count == 1 for count in counts.values())
    notes = (
        [f"{len(labels) - len(counts)} of {len(labels)} classes have no image here"]
        if len(counts) < len(labels)
        else []
    )
    notes += [f"{single} of {len(labels)} classes have a single image"] if single else []
    return [*notes, f"there is only one class, {labels[0].name!r}"] if len(labels) == 1 else notes


def _alike(labels: LabelSpace) -> list[str]:
    """A note on names that a person would take for one."""
    forms: dict[str, list[str]] = {}
    for name in labels.names:
        forms.setdefault(_for_the_eye(name), []).append(name)
    pairs = [found for found in forms.values() if len(found) > 1]
    shown = "; ".join(", ".join(map(repr, found)) for found in pairs[:3])
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return [f"these names are different classes, and look alike: {shown}{more}"] if pairs else []


def _for_the_eye(name: str) -> str:
    """A name without what a person overlooks: case, blanks, separators, invisible characters, zeros around a number."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    form = " ".join(re.sub(r"(?<=\w)[_\-]|[_\-](?=[^\W\d])", " ", seen).casefold().split())
    number = re.fullmatch(r"(-?)0*(\d+?)(?:\.0+)?", form)
    return f"{number[1]}{number[2]}" if number else form


def _first_picture(path: str, samples: Sequence[Sample], skipped: list[Skipped]) -> Pixels:
    """The first image that can be decoded; DataError where none can."""
    bad = list(skipped)
    for sample in samples:
        try:
            return pixels_of(sample)
        except ImageError as error:
            bad.append(Skipped(sample.id, str(error)))
    raise DataError(nothing(path, bad))
