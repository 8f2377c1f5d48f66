"""Masks among the images of class folders: by their names, and by what is in a few of them.

    benign (1).png    benign (1)_mask.png           # a name with `mask`, `seg`, `gt`, ... behind that of an image
    exp1_1.jpg        exp1_1.png                    # a PNG next to the JPEG of the same name
    images/1.png      lung masks/1.png              # a folder that is named so and holds names of other images

A mask has few grey values and no colour. What is named like one and looks like a picture is an image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from imaginate.data.decoding import decode
from imaginate.data.endings import endings
from imaginate.errors import ImageError
from imaginate.records import ImageSource

IS_MASK = "mask of an image that is there"
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm")  # of volumes: see volumes.py
LOOKED_AT = 5  # files of one kind that are decoded
MOST_VALUES = 8  # grey values of a mask that loses nothing
NEAR = 16  # of 255: how far a JPEG's mask may be from black or white
WORDS = frozenset({
    "mask", "masks", "gt", "groundtruth", "truth", "seg", "segmentation", "segmentations", "label", "labels",
    "labelmap", "annotation", "annotations", "roi", "lesion",
})  # fmt: skip
_HINT = re.compile("mask|seg|gt|label|roi|lesion", re.IGNORECASE)
_BEHIND = re.compile(
    r"^(.+?)[-_. ](mask|seg|segmentation|gt|label|labels|labelmap|roi|lesion)(?:[-_. ]?\d+)?$", re.IGNORECASE
)
_WORD = re.compile(r"[a-z]+")


def masks_among(paths: Sequence[str], source: Callable[[str], ImageSource]) -> frozenset[str]:
    """Those of the relative `paths` that are masks of others. `source` of a path: the file, which is asked for few."""
    found = frozenset[str]()
    for group in _candidates(paths):
        new = group - found
        new = frozenset(path for path in new if path.lower().endswith(PICTURES))
        if new and _are_masks([source(path) for path in _spread(sorted(new))]):
            found |= new
    return found


def _candidates(paths: Sequence[str]) -> Iterator[frozenset[str]]:
    """Groups of files whose names say that they may be masks."""
    owners = {path: owner for path in filter(_HINT.search, paths) if (owner := _owner(path)) is not None}
    if owners:
        stems = {path.rpartition(".")[0] for path in paths}
        yield frozenset(path for path, owner in owners.items() if owner in stems)
    known = {end.lower() for end in endings(paths)}
    if ".png" in known and known & {".jpg", ".jpeg"}:
        jpegs = {path.rpartition(".")[0] for path in paths if path.lower().endswith((".jpg", ".jpeg"))}
        yield frozenset(path for path in paths if path.lower().endswith(".png") and path.rpartition(".")[0] in jpegs)
    yield from _folders(paths)


def _owner(path: str) -> str | None:
    """The path without ending of the image whose mask this may be."""
    folder, _, _ = path.rpartition("/")
    match = _BEHIND.match(_stem(path))
    return None if match is None else f"{folder}/{match[1]}" if folder else match[1]


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _folders(paths: Iterable[str]) -> Iterator[frozenset[str]]:
    """The files of each folder that is named like one of masks, where most have names of images elsewhere."""
    folders = {path.rpartition("/")[0] for path in paths}
    tops = {folder: top for folder in folders if (top := mask_folder(folder)) is not None}
    if not tops:
        return
    others: set[str] = set()
    groups: dict[str, list[str]] = {}
    for path in paths:
        top = tops.get(path.rpartition("/")[0])
        others.add(_stem(path)) if top is None else groups.setdefault(top, []).append(path)
    for inside in groups.values():
        if 2 * sum(_bare(_stem(path)) in others for path in inside) > len(inside):
            yield frozenset(inside)


def mask_folder(folder: str) -> str | None:
    """The last part of a folder's path that is named like one of masks; None where none is."""
    return next(
        (name for name in reversed(folder.split("/")) if not WORDS.isdisjoint(_WORD.findall(name.lower()))), None
    )


def _bare(stem: str) -> str:
    match = _BEHIND.match(stem)
    return match[1] if match else stem


def _spread(paths: Sequence[str]) -> Collection[str]:
    """A few, from the first to the last."""
    step = max(1, (len(paths) - 1) // (LOOKED_AT - 1)) if len(paths) > LOOKED_AT else 1
    return paths[::step][:LOOKED_AT]


def _are_masks(sources: Collection[ImageSource]) -> bool:
    """Whether nearly all that can be decoded are masks."""
    seen = [is_mask for one in sources if (is_mask := _is_mask(one)) is not None]
    return bool(seen) and sum(seen) >= 0.8 * len(seen)


def _is_mask(source: ImageSource) -> bool | None:
    """Whether a picture is colourless, of few values, or all but black and white; None for one that is unreadable."""
    import numpy as np

    try:
        pixels = decode(source.read())
    except ImageError:
        return None
    grey = pixels[..., 0]
    if not (np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2])):
        return False
    if len(np.unique(grey)) <= MOST_VALUES:
        return True
    return bool(np.mean((grey <= NEAR) | (grey >= 255 - NEAR)) > 0.97)
