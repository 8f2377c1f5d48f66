"""Which pixels of a defect image are the defect: masks in a folder, in a column of a table, or next to the images."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from imaginate.contract import Context
from imaginate.data import load
from imaginate.data.columns import PATHS
from imaginate.data.sources.file import FileSource
from imaginate.data.tables import SUFFIXES, TableFile
from imaginate.errors import ConfigError, ImageError
from imaginate.methods.core.kept import Kept
from imaginate.methods.core.partners import at_size
from imaginate.records import FileBacked, Image, Request, Sample
from imaginate.settings import nearest

FOLDERS = ("ground_truth", "masks", "mask")  # next to the images, or above them
COLUMNS = ("mask", "mask_path", "mask_file", "mask_name")
ENDINGS = ("_mask", "-mask", "_gt", "_label", "")
HIGHEST = 3  # folders above an image in which FOLDERS are looked for
MANY_LEVELS = 16  # of a picture with more values half of the highest is the bar: it was smoothed or is a JPEG
WHOLE = 0.95  # a mask of more than this share says nothing of a place
log = logging.getLogger("imaginate")


class Masks:
    """The masks of a dataset by its samples, and its normal class."""

    def __init__(self, place: str | None, normal: str | None, context: Context) -> None:
        self._context = context
        samples = context.samples
        self._samples = [samples.sample(i) for i in range(len(samples))]
        found = _found(place, self._samples)
        self._paths = {sample.id: found[sample.id] for sample in self._samples if sample.id in found}
        self.normal = self._normal(normal)
        self._normals = [i for i, sample in enumerate(self._samples) if sample.label == self.normal]
        self._defects = [i for i, s in enumerate(self._samples) if s.label != self.normal and s.id in self._paths]
        if not self._defects:
            where = f"{place} has none" if place else "none was found next to the images"
            raise ConfigError(
                f"paste needs a mask for each image of a defect, {where}: --masks FOLDER, with masks named as the "
                "images in folders as theirs (NAME_mask.png too), or a table with the columns path and mask"
            )

    def check(self) -> None:
        """ConfigError for a class without a usable mask; says how many images have none."""
        labels = self._context.labels
        for label in sorted({sample.label for sample in self._samples} - {self.normal}):
            own = [i for i in self._defects if self._samples[i].label == label]
            reasons = self._reasons(own)
            if not own or all(reasons):
                first = f" ({reasons[0]}: {self._paths[self._samples[own[0]].id]})" if own else ""
                raise ConfigError(f"no image of class {labels[label].name!r} has a mask that can be used{first}")
        without = sum(s.label != self.normal and s.id not in self._paths for s in self._samples)
        if without:
            log.warning(f"{without} images of defects have no mask: their copies are rejected")

    def own(self, request: Request) -> tuple[Any, str]:
        """The mask (h, w) bool of a request's own image, and its name. ImageError where it cannot be used."""
        name = request.key if request.sample is None else request.sample.id
        return self._mask(name, request.image), name

    def drawn(self, rng: random.Random, image: Image) -> tuple[Any, str]:
        """A mask of any defect at the size of an image, and whose it is; unusable ones are passed over."""
        start = rng.randrange(len(self._defects))
        for step in range(len(self._defects)):
            index = self._defects[(start + step) % len(self._defects)]
            name = self._samples[index].id
            try:
                return _scaled(self._mask(name), image.shape[-2], image.shape[-1]), name
            except ImageError:
                continue
        raise ImageError("no mask that can be used")

    def normal_image(self, rng: random.Random, request: Request, *, apart: bool) -> tuple[Image, str]:
        """A normal image at the size of the request's, and its name; another one than its own where `apart`."""
        height, width = request.image.shape[-2:]
        options = [i for i in self._normals if not apart or self._samples[i].id != request.key]
        start = rng.randrange(max(1, len(options)))
        for step in range(len(options)):
            index = options[(start + step) % len(options)]
            try:
                return at_size(self._context.samples.image(index), height, width), self._samples[index].id
            except ImageError:
                continue
        raise ImageError("no other normal image")

    def _mask(self, name: str, image: Image | None = None) -> Any:
        if name not in self._paths:
            raise ImageError("no mask")
        return read_mask(self._paths[name], None if image is None else (image.shape[-2], image.shape[-1]))

    def _reasons(self, indices: Sequence[int]) -> list[str]:
        """Why the masks cannot be used, up to the first that can: then the last text is empty."""
        reasons: list[str] = []
        for index in indices:
            try:
                self._mask(self._samples[index].id, self._context.samples.image(index))
                return [*reasons, ""]
            except ImageError as error:
                reasons.append(str(error))
        return reasons

    def _normal(self, name: str | None) -> int:
        labels = self._context.labels
        if name is not None:
            if name not in labels.names:
                raise ConfigError(f"normal: there is no class {name!r}{nearest(name, labels.names)}")
            return labels.index(name)
        there = {sample.label for sample in self._samples}
        masked = {sample.label for sample in self._samples if sample.id in self._paths}
        without = [labels[label].name for label in sorted(there - masked)]
        if masked and len(without) == 1:
            return labels.index(without[0])
        if not masked:
            return -1
        said = f"{', '.join(without)} have no masks" if without else "all classes have masks"
        raise ConfigError(f"which class is normal? {said}: name it by --normal CLASS")


def read_mask(path: str, size: tuple[int, int] | None = None) -> Any:
    """(h, w) bool of a mask: what is not black; above half of the highest value where there are many. ImageError for
    an empty one, one of the whole image, or of another size than (height, width)."""
    values = load(Sample(id=path, label=0, source=FileSource(path))).numpy().max(axis=0)
    if size is not None and values.shape != size:
        raise ImageError(f"mask of {values.shape[1]} x {values.shape[0]} pixels, image of {size[1]} x {size[0]}")
    levels = len(set(values.ravel().tolist()))
    mask = values > (int(values.max()) // 2 if levels > MANY_LEVELS else 0)
    if not mask.any():
        raise ImageError("empty mask")
    if mask.mean() > WHOLE:
        raise ImageError("mask of the whole image")
    return mask


_KEPT: Kept[Masks] = Kept(2)


def masks_for(place: str | None, normal: str | None, context: Context) -> Masks:
    """The masks for this context, listed once a process."""
    key = (place, normal, id(context.samples), context.labels)
    return _KEPT.get(key, lambda: Masks(place, normal, context))


def _found(place: str | None, samples: Sequence[Sample]) -> Mapping[str, str]:
    """Sample id -> the file of its mask."""
    if place is None:
        return _next_to(samples)
    if os.path.isdir(place):
        return _by_name(_masks_below(place), samples)
    if os.path.isfile(place) and place.lower().endswith(SUFFIXES):
        return _by_table(place, samples)
    raise ConfigError(f"masks: {place} is no folder and no csv, tsv, jsonl or parquet file")


def _next_to(samples: Sequence[Sample]) -> Mapping[str, str]:
    """Masks in folders that are named as such, next to those of the images or above them."""
    found: dict[str, str] = {}
    folders: dict[Path, dict[str, str]] = {}
    for sample in samples:
        if not isinstance(sample.source, FileBacked) or not sample.source.is_whole_file:
            continue
        path = Path(os.path.abspath(sample.source.path))
        for above in list(path.parents)[:HIGHEST]:
            for name in FOLDERS:
                place = above / name
                if place not in folders:
                    folders[place] = _masks_below(str(place)) if place.is_dir() else {}
                if mask := _lookup(folders[place], str(path.relative_to(above))):
                    found.setdefault(sample.id, mask)
    return found


def _by_name(masks: Mapping[str, str], samples: Sequence[Sample]) -> Mapping[str, str]:
    pairs = ((sample.id, _lookup(masks, sample.id)) for sample in samples)
    return {name: mask for name, mask in pairs if mask}


def _masks_below(folder: str) -> dict[str, str]:
    """`crack/000` (folders as they are, the name without ending and `_mask`) -> the file."""
    found: dict[str, str] = {}
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file() and not p.name.startswith(".")):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        ending = next(e for e in ENDINGS if stem.endswith(e))
        found.setdefault(stem.removesuffix(ending), str(path))
    return found


def _lookup(masks: Mapping[str, str], name: str) -> str | None:
    """The mask of an image by its path, whose first folders (a split) may be missing from that of the mask."""
    parts = Path(name).with_suffix("").parts
    return next((masks[key] for i in range(len(parts)) if (key := "/".join(parts[i:])) in masks), None)


def _by_table(place: str, samples: Sequence[Sample]) -> Mapping[str, str]:
    """The column of masks of a table; its paths are relative to the table's own folder."""
    table = TableFile(place)
    columns = {column.strip().lower(): column for column in reversed(table.columns()) if column}
    mask = next((columns[name] for name in COLUMNS if name in columns), None)
    path = next((columns[name] for name in PATHS if name in columns), None)
    if mask is None or path is None:
        lacking = "masks (mask, mask_path)" if mask is None else "image paths (path, image, file_name)"
        raise ConfigError(f"masks: {place} has no column of {lacking}; it has {', '.join(table.columns())}")
    root = os.path.dirname(os.path.abspath(place))
    files = {}
    for image, file in _pairs(table, path, mask):
        files[os.path.realpath(os.path.join(root, image))] = files[image] = os.path.join(root, file)
    found = {}
    for sample in samples:
        source = sample.source
        real = os.path.realpath(source.path) if isinstance(source, FileBacked) else ""
        if (one := files.get(real) or files.get(sample.id)) is not None:
            found[sample.id] = one
    return found


def _pairs(table: TableFile, path: str, mask: str) -> Iterator[tuple[str, str]]:
    for row in table.rows((path, mask)):
        image, file = (str(row[column] or "").strip() for column in (path, mask))
        if image and file and file.lower() not in ("nan", "none"):
            yield image, file


def _scaled(mask: Any, height: int, width: int) -> Any:
    """(h, w) bool at another size, with at least one pixel."""
    if mask.shape == (height, width):
        return mask
    rows = [y * mask.shape[0] // height for y in range(height)]
    columns = [x * mask.shape[1] // width for x in range(width)]
    small = mask[rows][:, columns]
    if not small.any():
        y, x = (int(places.mean()) for places in mask.nonzero())
        small[y * height // mask.shape[0], x * width // mask.shape[1]] = True
    return small
