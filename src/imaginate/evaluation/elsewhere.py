"""Images that another tool made, as arms of a study: `folder:PATH`, and runs that `adopt` made of such a folder.

Nobody knows their seeds. So they are matched to the classes by name, those that show a held-out or validation image
are left out and counted, and where they are too many, nothing is said of the arm at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from imaginate.data import Dataset, open_dataset
from imaginate.data.lineage import Lineage
from imaginate.data.matching import Matched, matched
from imaginate.data.photometry import rendering_of
from imaginate.errors import ConfigError, some
from imaginate.evaluation.near_copies import Borders, borders_of, near_copies
from imaginate.runs import RunFolder, Values
from imaginate.training.pixel_cache import PixelCache

ADOPTED = "adopt"  # the method of a run that `adopt` made
HELD_OUT_COPY = "near-copy of a held-out image"
VALIDATION_COPY = "near-copy of a validation image"
TOO_MANY = 0.05  # of the new images, or of the held-out ones


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """The images of one folder in the study's label space, and which of its classes were matched."""

    path: str
    data: Dataset
    classes: Matched


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """What is used of them. `usable` (n,) bool; `dropped`: reason -> count; `lineage`: the originals that each of them
    shows, taken for its seeds; `facts`: for results.json."""

    usable: np.ndarray
    dropped: Mapping[str, int]
    lineage: Lineage
    facts: Values


def is_elsewhere(path: str, kind: str) -> bool:
    """Whether the seeds of an arm's images are unknown: a folder, or a run that was adopted."""
    if kind == "folder":
        return True
    run = RunFolder(path)
    return run.is_finished and run.method == ADOPTED


def open_elsewhere(path: str, train: Dataset) -> Elsewhere:
    """Its images in the label space of the training images. ConfigError for a run, of whose images more is known."""
    data = open_dataset(path, rendered_as=rendering_of(train))
    if data.format == "run":
        if RunFolder(path).method != ADOPTED:
            raise ConfigError(f"{path} is a run, which knows what its images were made from: use --arm run:{path}")
        data = open_dataset(path, origin="synthetic")
    data, classes = matched(data, train.labels, path)
    name = os.path.basename(os.path.normpath(path))
    samples = tuple(replace(s, id=f"{name}/{s.id}") for s in data.samples)  # ids that no original has
    return Elsewhere(path=path, data=replace(data, samples=samples), classes=classes)


def guard(
    one: Elsewhere, new: PixelCache, train: PixelCache, held: PixelCache, validation: PixelCache | None
) -> Guarded:
    """Leave out what shows a held-out image (of the rows that are usable) or one of the validation split, and note
    which original each image shows: where that is a validation image, the image is not trained on either."""
    borders = borders_of(train, held)
    leaked = near_copies(new, held, borders)
    inside = near_copies(new, validation, borders) if validation is not None else {}
    usable = new.usable.copy()
    usable[[*leaked, *inside]] = False
    parents = near_copies(new.only(usable), train, borders)
    counts = {HELD_OUT_COPY: len(leaked), VALIDATION_COPY: len(inside.keys() - leaked.keys())}
    shown = {j for rows in leaked.values() for j in rows}
    facts = _facts(one, new, counts, len(shown), int(held.usable.sum()), len(parents), borders)
    return Guarded(
        usable=usable,
        dropped={reason: count for reason, count in counts.items() if count},
        lineage=Lineage(ancestors={
            name: frozenset(train.ids[j] for j in parents.get(row, ())) for row, name in enumerate(new.ids)
        }),
        facts=facts,
    )  # fmt: skip


def _facts(
    one: Elsewhere, new: PixelCache, counts: Mapping[str, int], shown: int, held: int, known: int, borders: Borders
) -> Values:
    images, leaked = int(new.usable.sum()), counts[HELD_OUT_COPY]
    too_many = leaked > max(1, TOO_MANY * images) or shown > max(1, TOO_MANY * held)
    doubt = f"{leaked} of its {images} images are near-copies of {shown} of the {held} held-out images"
    left_out = [s for s in one.data.skipped if s.reason == "no class of that name"]
    return {
        "path": one.path,
        "images": images,
        "held_out": leaked,
        "held_out_shown": shown,
        "validation": counts[VALIDATION_COPY],
        "training": known,
        "unmatched": list(one.classes.unmatched),
        "unmatched_images": len(left_out),
        "without": list(one.classes.missing),
        "borders": {"aligned": round(float(borders.aligned), 4), "cosine": round(float(borders.cosine), 4)},
        "doubt": f"{doubt}, so the others may show them, too" if too_many else "",
    }


def remarks(facts: Values) -> list[str]:
    """What a reader of the study should know of these images, one line each."""
    path = facts["path"]
    found = [
        f"{path}: the seeds of its images are unknown; those that show a held-out or validation image were looked for "
        "by hashes, pixels and features (mirrored and cropped, too), but what was only made like one is not found"
    ]
    if facts["held_out"] or facts["validation"]:
        found.append(
            f"{path}: new images that show a held-out image ({facts['held_out']}) or a validation image "
            f"({facts['validation']}) were left out"
        )
    if facts["unmatched"]:
        found.append(
            f"{path}: images of classes that the dataset does not have were left out ({facts['unmatched_images']}): "
            f"{some(facts['unmatched'])}"
        )
    if facts["without"]:
        found.append(f"{path}: no image of {some(facts['without'])}")
    return found
