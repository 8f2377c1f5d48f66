"""Make a run of images that another tool made, so that filters, review, export, compare and reports work on them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Any

from imaginate.data import Dataset, DataSpec, open_dataset
from imaginate.data.matching import SHOWN, Matched, matched
from imaginate.engine.recipe import SECTIONS
from imaginate.engine.run import Run, expand
from imaginate.errors import ConfigError, ImageError, some
from imaginate.files import content_hash, short_hash
from imaginate.records import Sample
from imaginate.settings import build, settings_of, with_keywords

METHOD = "adopt"
log = logging.getLogger("imaginate")


@with_keywords(*SECTIONS.values(), open_ended=True)
def adopt(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    folder_split: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Make a run of the images in `folder` (any layout that is read, its classes matched by name to those of `data`).

    Without `data` the classes are the folder's own, and the run has no originals. Other keywords are settings of the
    recipe's sections and its `filters`, as `expand` takes them (`split="train"`, `filters=["quality"]`). The same call
    finishes a run that was interrupted. Raises DataError where no class matches, ConfigError for a run.
    """
    path = os.fspath(folder)
    theirs = open_dataset(path, split=folder_split)
    if theirs.format == "run":
        raise ConfigError(f"{path} is a run already: filters, export, report and compare take it as it is")
    shared: dict[str, Any] = {"content": _content(theirs), "progress": progress, **settings}
    if data is None:
        given = {"split": folder_split, "originals": "none", **shared}
        return expand(path, out, METHOD, per_class=_largest(theirs), **given)
    known = {s.name for s in settings_of(DataSpec)}
    own = {key: value for key, value in settings.items() if key in known}
    ours = open_dataset(build(DataSpec, {"path": os.fspath(data), **own}, where="data"))
    images, found = matched(theirs, ours.labels, path)
    for note in _notes(path, theirs, images, found):
        log.warning(note)
    return expand(
        os.fspath(data), out, METHOD, folder=path, folder_split=folder_split, per_class=_largest(images), **shared
    )


def _notes(path: str, theirs: Dataset, images: Dataset, found: Matched) -> list[str]:
    """What was not matched, in one line each."""
    left = len(theirs.samples) - len(images.samples)
    lines = []
    if found.unmatched:
        lines.append(f"{path}: left out ({left}), for no class here has these names: {some(found.unmatched, SHOWN)}")
    if found.missing:
        lines.append(f"{path}: no image of {some(found.missing, SHOWN)}")
    return lines


def _largest(data: Dataset) -> int:
    """The images of the largest class: so many copies of each are asked for, and the others end earlier."""
    return max(Counter(sample.label for sample in data.samples).values())


def _content(data: Dataset) -> str:
    """A hash of the names and bytes of the images."""
    return short_hash([[sample.id, sample.label, _bytes(sample)] for sample in data.samples])


def _bytes(sample: Sample) -> str:
    """A hash of an image's bytes, or why they cannot be read."""
    try:
        return content_hash(sample.source.read())
    except ImageError as error:
        return str(error)
