"""Decoded images on disk: each is read once, resized, and kept as uint8 in a memory map, so that training touches no
decoder and memory stays flat however large the set is. Hashes are kept with them, by which overlaps are found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imaginate.data.decoding import fetch
from imaginate.data.image_hashes import ImageHasher, ImageHashes, pixel_hash, small_version
from imaginate.errors import ImageError
from imaginate.files import file_hash, replace_file, short_hash
from imaginate.processes import in_order, processors
from imaginate.records import FileBacked, Sample, Scalar
from imaginate.training.folder import save_arrays

MOST = 8  # threads, each of which holds a whole decoded image
FORMAT = 3  # of the files; another number, and what an earlier version decoded is decoded again


class Piece(NamedTuple):
    """Some rows of a pixel cache, with their labels and soft labels."""

    path: Path
    rows: np.ndarray
    label: np.ndarray
    soft: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class PixelCache:
    """Pixels of a list of samples. Row i of every array belongs to `ids[i]`; an unreadable sample keeps its
    row, is not `usable`, and has its reason in `skipped`."""

    path: Path
    ids: tuple[str, ...]
    label: np.ndarray  # (n,) int64
    content: np.ndarray  # (n,) uint64, of the decoded pixels at full size; 0 for an unreadable image
    hashes: ImageHashes  # of the whole images
    mirrored: ImageHashes  # of their mirror images
    soft: np.ndarray | None  # (n, classes) float32; rows without a soft label are one-hot
    meta: tuple[Mapping[str, Scalar], ...]
    skipped: dict[str, str]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def usable(self) -> np.ndarray:
        """(n,) bool: the rows that could be decoded."""
        return self.content.astype(bool)

    def only(self, which: np.ndarray) -> PixelCache:
        """The store with all rows but these, by mask or by number, marked unusable."""
        mask = np.zeros(len(self), bool)
        mask[which] = True
        return replace(self, content=np.where(mask, self.content, np.uint64(0)))

    def piece(self, rows: np.ndarray, *, soft: bool = True) -> Piece:
        """Some rows, as a training set is joined of them, with their soft labels unless these are not wanted."""
        return Piece(self.path, rows, self.label[rows], self.soft[rows] if soft and self.soft is not None else None)

    def pixels(self) -> np.ndarray:
        """(n, s, s, 3) uint8, a read-only memory map."""
        return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]


def build_pixel_cache(
    samples: Sequence[Sample],
    folder: Path,
    *,
    size: int,
    classes: int,
    advance: Callable[[int], None] = lambda _: None,
) -> PixelCache:
    """Decode once, or open what an earlier call decoded, unless the bytes of a file have changed since."""
    paths = [s.source.path if isinstance(s.source, FileBacked) else "" for s in samples]
    state = {path: _state(path) for path in set(paths)}
    rows = [[s.id, s.label, s.soft_label, repr(s.source), state[path]] for s, path in zip(samples, paths, strict=True)]
    key = short_hash([FORMAT, size, classes, rows])
    pixels, facts = folder / f"{key}.npy", folder / f"{key}.npz"
    if not (pixels.exists() and facts.exists()):
        _decode(samples, pixels, facts, size, advance)
    else:
        advance(len(samples))
    return _open(samples, pixels, facts, classes)


def _state(path: str) -> str | list[int]:
    """A hash of the bytes of a local file: sizes and times are those of another one, where a copy keeps them or the
    clock was set back. Size and times of a folder (a data base); empty for what is not on this machine."""
    try:
        if not os.path.isdir(path):
            return file_hash(path)
        found = os.stat(path)
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _decode(
    samples: Sequence[Sample],
    pixels: Path,
    facts: Path,
    size: int,
    advance: Callable[[int], None],
) -> None:
    """Read by one thread; decode and resize in as many as there are processors, up to MOST."""
    content = np.zeros(len(samples), np.uint64)
    skipped: dict[str, str] = {}
    hasher = ImageHasher(len(samples))

    def fill(place: Path) -> None:
        out = np.lib.format.open_memmap(place, mode="w+", dtype=np.uint8, shape=(len(samples), size, size, 3))
        count = min(processors(), MOST)
        with ThreadPoolExecutor(count) as threads:
            found = in_order(threads, lambda decode: _prepared(decode, size), map(_fetched, samples), count + 2)
            for i, one in enumerate(found):
                if isinstance(one, ImageError):
                    skipped[samples[i].id] = str(one)
                else:
                    out[i], content[i] = one.square, one.content
                    hasher.add(i, one.small)
                advance(1)
        out.flush()

    replace_file(pixels, fill)
    hashes = hasher.finish()
    arrays = {f"{name}{k}": x for name, part in zip(_PARTS, hashes, strict=True) for k, x in enumerate(part)}
    arrays |= {"content": content, "skipped": np.array(json.dumps(skipped))}
    save_arrays(facts, arrays)


class _Prepared(NamedTuple):
    """What is kept of an image: its square, the hash of its pixels, and its small version for the other hashes."""

    square: np.ndarray
    content: int
    small: np.ndarray


def _fetched(sample: Sample) -> Callable[[], np.ndarray]:
    """The sample's decoder; an error of reading is raised when it is called, in its turn."""
    try:
        return fetch(sample)
    except ImageError as error:
        return partial(_fail, error)


def _fail(error: ImageError) -> np.ndarray:
    raise error


def _prepared(decode: Callable[[], np.ndarray], size: int) -> _Prepared | ImageError:
    try:
        image = np.ascontiguousarray(decode())
    except ImageError as error:
        return error
    return _Prepared(fit_square(image, size), pixel_hash(image), small_version(image))


_PARTS = ("look", "mirrored")  # of the file: the images, and their mirror images


def _open(samples: Sequence[Sample], pixels: Path, facts: Path, classes: int) -> PixelCache:
    with np.load(facts) as saved:
        content = saved["content"]
        plain, mirrored = (ImageHashes(saved[f"{name}0"], saved[f"{name}1"]) for name in _PARTS)
        skipped: dict[str, str] = json.loads(str(saved["skipped"]))
    labels = np.array([s.label for s in samples], np.int64)
    return PixelCache(
        path=pixels,
        ids=tuple(s.id for s in samples),
        label=labels,
        content=content,
        hashes=plain,
        mirrored=mirrored,
        soft=_soft(samples, labels, classes),
        meta=tuple(dict(s.meta) for s in samples),
        skipped=skipped,
        fingerprint=short_hash([[s.id for s in samples], labels.tolist(), content.tolist()]),
    )


def _soft(samples: Sequence[Sample], labels: np.ndarray, classes: int) -> np.ndarray | None:
    if all(s.soft_label is None for s in samples):
        return None
    soft: np.ndarray = np.eye(classes, dtype=np.float32)[labels]
    for i, sample in enumerate(samples):
        if sample.soft_label is not None:
            soft[i] = sample.soft_label
    return soft


def fit_square(image: np.ndarray, size: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (size, size, 3): the short side to `size`, then the centre."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = size / min(height, width)
    new = max(size, round(width * scale)), max(size, round(height * scale))
    picture = Image.fromarray(image)
    if (width, height) != new:
        picture = picture.resize(new, Image.Resampling.BICUBIC)
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))
