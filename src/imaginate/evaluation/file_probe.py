"""Can new images be recognised by their files alone, without a look at what they show?

A classifier that saw codec, size or shape could learn "new" or "original" from these and not the classes. It sees none
of them: every image is decoded, brought to one size and stored alike. The probe says how far the files differ all the
same, since what follows from them (blur of small images that were enlarged, traces of a codec) stays in the pixels.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaginate.contract import PixelSource
from imaginate.data.subset import evenly_spread
from imaginate.errors import ImageError
from imaginate.records import FileBacked, Sample
from imaginate.runs import Values

MOST = 400  # files of each side
FOLDS, NEIGHBOURS = 5, 5
FEW = 10  # files of a side below which nothing is measured
CLEAR = 0.6  # share that is recognised, from which on it is said
NAMES = ("size", "aspect", "codec", "bytes")


@dataclass(frozen=True, kw_only=True)
class File:
    """What a file shows without its picture."""

    width: int
    height: int
    codec: str
    bytes: int


def file_of(sample: Sample) -> File | None:
    """The header of a sample's file; None for one behind a url, an array's row, or what Pillow does not know."""
    from PIL import Image, UnidentifiedImageError

    source = sample.source
    if isinstance(source, PixelSource) or (isinstance(source, FileBacked) and not os.path.exists(source.path)):
        return None
    try:
        data = source.read()
        with Image.open(io.BytesIO(data)) as image:
            return File(width=image.width, height=image.height, codec=str(image.format), bytes=len(data))
    except (ImageError, OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        return None


def probe(originals: Sequence[Sample], new: Sequence[Sample], size: int) -> Values | None:
    """How often files alone say which image is new, cross-validated, in all and by each property: shares, of which 0.5
    is chance. None where too few files can be read. `size`: the side of the classifier's input."""
    sides = [[f for f in map(file_of, evenly_spread(part, MOST)) if f is not None] for part in (originals, new)]
    if min(map(len, sides)) < FEW:
        return None
    table, is_new = _table(sides[0] + sides[1]), np.repeat([0, 1], [len(side) for side in sides])
    by = {name: _recognised(columns, is_new) for name, columns in table.items()}
    share = _recognised(np.concatenate(list(table.values()), 1), is_new)
    found = {"recognised": share, "by": by, "originals": _typical(sides[0]), "new": _typical(sides[1])}
    return {**found, "text": _text(found, size)}


def _table(files: Sequence[File]) -> dict[str, np.ndarray]:
    """Property -> its columns, (n, k)."""
    sides = np.array([[f.width, f.height] for f in files], float)
    codecs = sorted({f.codec for f in files})
    size = np.array([f.bytes for f in files], float)
    return {
        "size": np.stack([sides.min(1), sides.max(1)], 1),
        "aspect": (sides[:, 0] / sides[:, 1])[:, None],
        "codec": np.array([[f.codec == codec for codec in codecs] for f in files], float),
        "bytes": np.stack([size, size / sides.prod(1)], 1),
    }


def _recognised(columns: np.ndarray, is_new: np.ndarray) -> float:
    """Balanced accuracy of a vote of the nearest files in other folds, by the ranks of their columns; files that vote
    as all files together would count half."""
    from scipy.stats import rankdata

    ranks = rankdata(columns, axis=0) / len(columns)
    fold = np.empty(len(is_new), int)
    for side in (0, 1):
        rows = np.random.default_rng(side).permutation(np.flatnonzero(is_new == side))
        fold[rows] = np.arange(len(rows)) % FOLDS
    right = np.empty(len(is_new))
    for k in range(FOLDS):
        known, asked = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        far = np.abs(ranks[asked, None] - ranks[None, known]).max(2)  # (asked, known)
        votes = far <= np.sort(far, 1)[:, [min(NEIGHBOURS, len(known)) - 1]] + 1e-9
        counts = np.stack([votes[:, is_new[known] == side].mean(1) for side in (0, 1)])
        own, other = np.take_along_axis(counts, np.stack([is_new[asked], 1 - is_new[asked]]), 0)
        right[asked] = np.where(np.abs(own - other) <= 0.1 * (own + other), 0.5, own > other)
    return round(float(np.mean([right[is_new == side].mean() for side in (0, 1)])), 4)


def _typical(files: Sequence[File]) -> Values:
    """Median sides and bytes, and the most frequent codec."""
    return {
        "width": int(np.median([f.width for f in files])),
        "height": int(np.median([f.height for f in files])),
        "codec": Counter(f.codec for f in files).most_common(1)[0][0],
        "bytes": int(np.median([f.bytes for f in files])),
    }


def _text(found: Values, size: int) -> str:
    """What was found and what it means."""
    share, old, new = found["recognised"], found["originals"], found["new"]
    if share < CLEAR:
        return f"Files alone do not say which images are new ({100 * share:.0f} % recognised, 50 % is chance)."
    seen = {
        "size": f"size ({old['width']} x {old['height']} and {new['width']} x {new['height']} pixels)",
        "aspect": f"aspect ({old['width'] / old['height']:.2f} and {new['width'] / new['height']:.2f})",
        "codec": f"codec ({old['codec']} and {new['codec']})",
        "bytes": f"bytes ({old['bytes']} and {new['bytes']})",
    }
    by = ", ".join(seen[name] for name in NAMES if found["by"][name] >= CLEAR) or "all together"
    text = (
        f"Files alone say of {100 * share:.0f} % which images are new (50 % is chance), by {by}. The classifier does "
        "not see them: every image is decoded, brought to one size and stored alike"
    )
    if min(new["width"], new["height"]) < min(size, old["width"], old["height"]):
        return f"{text}; but the new images had to be enlarged to {size} pixels, so they are less sharp."
    return f"{text}."
