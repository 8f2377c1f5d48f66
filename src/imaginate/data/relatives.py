"""Images that must stay on one side of a cut: one picture under two names, near-duplicates (bursts, frames of a video),
what a person groups (patients, plants), and what descends from the same image.

An image and its relative on the other side of a validation cut measure memory, not learning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from imaginate.data.dataset import Dataset
from imaginate.data.image_hashes import ImageHashes, matching
from imaginate.data.lineage import read_lineage
from imaginate.data.spec import DataSpec, source_of
from imaginate.data.urls import real_place
from imaginate.errors import ConfigError, DataError
from imaginate.records import GROUP, Relatives, Sample
from imaginate.runs import RunFolder
from imaginate.settings import build

# The borders at which altered copies are found and different pictures are not (`benchmarks/leak_control.py`).
WITHIN_BITS = 8
ALIKE = 0.95
NEAR, NONE = "near", "none"  # words of --group-by: near-duplicates alone, nothing at all


def relatives_of(dataset: Dataset) -> Relatives:
    """Who is related in a dataset: the images of one patient or series, and in a run what descends from the same."""
    return relatives_in(dataset.spec.path, dataset.samples)


def relatives_in(path: str, samples: Sequence[Sample]) -> Relatives:
    """Who is related among the samples of what is at a path."""
    new = frozenset(s.id for s in samples if s.meta.get("origin", "original") != "original")
    groups = {s.id: f"group {s.meta[GROUP]}" for s in samples if GROUP in s.meta}
    if not new:
        return Relatives(names={name: frozenset({name, group}) for name, group in groups.items()})
    lineage = read_lineage(RunFolder(path))
    names = {s.id: lineage.names_of(s.id) | lineage.ancestors_of(s.id) for s in samples}
    shown = {name: group for own, group in groups.items() if own not in new for name in lineage.names_of(own)}
    related = {
        own: found | {shown[name] for name in found if name in shown} | ({groups[own]} if own in groups else set())
        for own, found in names.items()
    }
    return Relatives(names=related, new=new)


def near_duplicates(hashes: ImageHashes, mirrored: ImageHashes, content: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (i, j) of n images that show the same picture, or its mirror image. `content`: (n,) hashes of the decoded
    pixels; an image with 0 could not be read and is like no other."""
    found = matching(hashes, hashes, within=WITHIN_BITS, alike=ALIKE)
    found += matching(hashes, mirrored, within=WITHIN_BITS, alike=ALIKE)
    first: dict[int, int] = {}
    found += [(first.setdefault(int(key), row), row) for row, key in enumerate(content) if key]
    return [(i, j) for i, j in found if i != j and content[i] and content[j]]


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """`count` images and pairs of them that belong together -> the group of each, (count,) int64: the row of its first
    image."""
    group = np.arange(count)

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = int(group[i])
        return i

    for i, j in pairs:
        a, b = sorted((root(i), root(j)))
        group[b] = a
    return np.array([root(i) for i in range(count)], np.int64)


def named_pairs(samples: Sequence[Sample], group_by: str, dataset: Dataset | None = None) -> list[tuple[int, int]]:
    """Pairs of samples that belong together: as their reader says (one patient), or as a person groups: by a column of
    the dataset's metadata or (of a `dataset`) of the table that it is read from, or by a regular expression that is
    searched in the ids (its first bracket names the group, else all of what is found).

    Raises ConfigError for what is neither a column nor a pattern that any id has.
    """
    if group_by == NONE:
        return []
    known = _sharing([s.meta.get(GROUP) for s in samples])
    if group_by == NEAR:
        return known
    columns = sorted({key for sample in samples for key in sample.meta})
    if group_by in columns:
        return known + _sharing([s.meta.get(group_by) for s in samples])
    if dataset is not None and (by_name := _by_column(dataset, group_by)):
        return known + _sharing([by_name.get(name) for name in _source_names(samples)])
    return known + _sharing(_found(samples, group_by, columns))


def parted(train: Dataset, held_out: Dataset, group_by: str) -> list[str]:
    """A note where the cut between training and held-out images has parted what belongs together: in one source, or in
    two where a column of both is named. Nothing where it has not, or where nobody says what belongs together."""
    is_one = _origin(train) == _origin(held_out)  # of two, patient 1 may be another one
    if group_by == NONE or (group_by == NEAR and not is_one):
        return []
    ours, theirs = (_groups(dataset, group_by, known=is_one) for dataset in (train, held_out))
    own = set(ours) - {None}
    count = sum(name in own for name in theirs if name is not None)
    if not count:
        return []
    return [
        f"{count} of {len(theirs)} held-out images are of a group (a patient, a plant, a video) of which there are "
        "training images: they may be known by heart; `compare --folds` parts no group"
    ]


def _origin(dataset: Dataset) -> str:
    """Where its images come from, in the end."""
    path = dataset.spec.path
    if dataset.format == "run":
        path = str((RunFolder(path).recipe.get("data") or {}).get("path", path))
    return real_place(path)


def _groups(dataset: Dataset, group_by: str, *, known: bool) -> list[str | None]:
    """The group of each image, as its reader says where that is to count, or by the column that is asked for."""
    said = [str(s.meta[GROUP]) if known and GROUP in s.meta else None for s in dataset.samples]
    if group_by == NEAR or any(said) or not (by_name := _by_column(dataset, group_by)):
        return said
    return [by_name.get(name) for name in _source_names(dataset.samples)]


def _by_column(dataset: Dataset, column: str) -> dict[str, str]:
    """Id -> value of a column of the table that a dataset, or what a run was made of, is read from; empty where there
    is no such table or column."""
    from imaginate.data.opening import open_dataset

    source: Mapping[str, Any] = asdict(dataset.spec)
    if dataset.format == "run":
        source = source_of(RunFolder(dataset.spec.path).recipe.get("data") or {})
    try:
        found = open_dataset(build(DataSpec, {**source, "group_column": column}, where="data"))
    except (DataError, ConfigError):
        return {}
    return {sample.id: str(sample.meta[GROUP]) for sample in found.samples if GROUP in sample.meta}


def _source_names(samples: Sequence[Sample]) -> list[str]:
    """What each image is called in its dataset; of a run's original, where it was copied from."""
    return [str(s.meta.get("seed_image") or s.id) for s in samples]


def _sharing(names: Sequence[object]) -> list[tuple[int, int]]:
    """Pairs of rows of one name; None is no name."""
    first: dict[object, int] = {}
    pairs = [(first.setdefault(name, row), row) for row, name in enumerate(names) if name is not None]
    return [(i, j) for i, j in pairs if i != j]


def _found(samples: Sequence[Sample], pattern: str, columns: Sequence[str]) -> list[str | None]:
    """What a pattern finds in the name of each image; of a run's original, in the name that it was copied from."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"group-by {pattern!r} is no column and no regular expression: {error}") from None
    ids = _source_names(samples)
    matches = [compiled.search(text) for text in ids]
    if not any(matches):
        known = f" (which has {', '.join(columns)})" if columns else ""
        raise ConfigError(
            f"group-by {pattern!r} is no column of the dataset{known}, and as a pattern it is in no image's name, such "
            f"as {ids[0]!r}"
        )
    return [None if m is None else m.group(1 if m.re.groups else 0) for m in matches]


def cut(
    label: np.ndarray,
    usable: np.ndarray,
    group: np.ndarray,
    *,
    wanted: Callable[[int], int],
    ranked: Callable[[int, np.ndarray], Iterable[int]],
) -> np.ndarray:
    """Which of the usable rows are set aside, (n,) bool: of each class so many as are wanted of its number of images,
    in the order in which they are ranked, whole groups at a time.

    A class always keeps an image that is not set aside; one that is a single group gives none.
    """
    rows = np.flatnonzero(usable)
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(group[row]), []).append(row)
    left = np.bincount(label[rows], minlength=int(label.max(initial=0)) + 1)
    aside = np.zeros(len(label), bool)

    def take(whole: list[int]) -> None:
        nonlocal left
        counts = np.bincount(label[whole], minlength=len(left))
        if not aside[whole[0]] and bool((left[counts > 0] > counts[counts > 0]).all()):
            aside[whole], left = True, left - counts

    for index in np.unique(label[rows]):
        own = rows[label[rows] == index]
        groups = [members[g] for g in dict.fromkeys(int(group[row]) for row in ranked(int(index), own))]
        need = wanted(len(own))
        for whole in groups:
            if int((label[whole] == index).sum()) <= need - int(aside[own].sum()):
                take(whole)
        for whole in sorted(groups, key=len):  # larger groups, where nothing else gives the class an image
            if need > 0 and not aside[own].any():
                take(whole)
    return aside
