"""The training images, encoded once: usable images, the held-out choice, and the posterior of every latent on disk.

A diffusion model is tuned on latents, and the image encoder is frozen: encoding each image (and its mirror image) once
saves that forward pass at every step of every epoch. The posterior's mean and deviation are kept, so that each step
still draws its own sample, as training on pixels does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imaginate.data import Dataset
from imaginate.data.image_hashes import ImageHasher, pixel_hash, small_version
from imaginate.data.relatives import cut, joined, near_duplicates, relatives_of
from imaginate.errors import DataError, ImageError
from imaginate.files import replace_file, short_hash
from imaginate.limits import parse_json
from imaginate.ops.noise import substream
from imaginate.ops.pixels import as_float, resize
from imaginate.personalisation.core.plan import Batch, FitPlan, TunablePrior
from imaginate.progress import Bar, bar
from imaginate.records import Image


@dataclass
class Images:
    """Latent posteriors: `mean`, `std` (n, flips, c, h, w) float16 on disk; `labels` (n,); how each image was cut,
    `sizes` (n, 6); `index` into the dataset."""

    dataset: Dataset
    mean: np.ndarray[Any, Any]
    std: np.ndarray[Any, Any]
    labels: torch.Tensor
    sizes: torch.Tensor
    index: list[int]
    train: list[int]
    held_out: list[int]
    skipped: dict[str, int]

    def image(self, row: int) -> Image:
        """(3, h, w) uint8: a usable image."""
        return self.dataset.image(self.index[row])

    def batch(self, rows: Sequence[int], generator: torch.Generator, device: str) -> Batch:
        """Latents drawn from the posteriors of these rows, mirrored or not by chance."""
        at = torch.as_tensor(rows)
        flips = torch.randint(self.mean.shape[1], (len(rows),), generator=generator)
        mean = torch.from_numpy(self.mean[rows, flips.numpy()].astype(np.float32))
        std = torch.from_numpy(self.std[rows, flips.numpy()].astype(np.float32))
        clean = mean + std * torch.randn(mean.shape, generator=generator)
        parts = (clean, self.labels[at], at, flips, self.sizes[at])
        return Batch(*(part.to(device) for part in parts))

    def epoch(self, plan: FitPlan, epoch: int) -> Iterator[list[list[int]]]:
        """The optimiser steps of an epoch, each a list of forward passes, each a list of rows."""
        generator = torch.Generator().manual_seed(substream(plan.seed, f"order/{epoch}"))
        order = [self.train[i] for i in torch.randperm(len(self.train), generator=generator).tolist()]
        size = plan.batch * plan.accumulate
        for start in range(0, len(order), size):
            step = order[start : start + size]
            yield [step[i : i + plan.batch] for i in range(0, len(step), plan.batch)]

    def steps(self, plan: FitPlan) -> int:
        """Optimiser steps an epoch."""
        return -(-len(self.train) // (plan.batch * plan.accumulate))


def prepare(
    dataset: Dataset, prior: TunablePrior, plan: FitPlan, cache: Path, key: str, *, progress: bool = True
) -> Images:
    """Encode every usable image with the prior, or take what `cache` holds of the same dataset and prior.

    Raises DataError for a class without a usable image.
    """
    empty = [name for name, count in dataset.counts().items() if count == 0]
    if empty:
        raise DataError(f"class {empty[0]!r} has no image: `imaginate fit` needs at least one of each class")
    about = short_hash([key, plan.flip, "groups", [(s.id, s.label) for s in dataset.samples]])
    kept = _cached(cache, about)
    if kept is None:
        kept = _encode(dataset, prior, plan, cache, about, progress=progress)
    index, skipped = kept["index"], kept["skipped"]
    labels = torch.tensor([dataset.samples[i].label for i in index], dtype=torch.int64)
    lost = [name for label, name in enumerate(dataset.labels.names) if label not in set(labels.tolist())]
    if lost:
        raise DataError(f"class {lost[0]!r} has no usable image ({skipped})")
    train, held_out = _hold_out(dataset, index, labels.tolist(), plan, kept["groups"])
    mean, std = (np.load(cache / f"{name}.npy", mmap_mode="r") for name in ("mean", "std"))
    sizes = torch.tensor([cut_of(height, width, prior.image_size) for height, width in kept["shapes"]])
    return Images(dataset, mean, std, labels, sizes, index, train, held_out, skipped)


def square(image: Image, size: int) -> torch.Tensor:
    """(3, h, w) of any size -> (3, size, size) float in [0, 1]: the middle square, resized."""
    pixels = as_float(image)
    side, top, left = _middle(*pixels.shape[-2:])
    return resize(pixels[None, :, top : top + side, left : left + side], size)[0]


def cut_of(height: int, width: int, size: int) -> tuple[float, ...]:
    """How `square` cuts an image, as SDXL takes it (Podell et al. 2023, section 2.2): its own height and width, top
    and left of the cut in resized pixels, and the height and width that come out."""
    side, top, left = _middle(height, width)
    return float(height), float(width), float(top * size // side), float(left * size // side), float(size), float(size)


def _middle(height: int, width: int) -> tuple[int, int, int]:
    """Side, top and left of the middle square."""
    side = min(height, width)
    return side, (height - side) // 2, (width - side) // 2


def _encode(
    dataset: Dataset, prior: TunablePrior, plan: FitPlan, cache: Path, about: str, *, progress: bool, chunk: int = 8
) -> dict[str, Any]:
    """Write mean.npy and std.npy, rows in the dataset's order, and last the note that they are complete."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "cache.json").unlink(missing_ok=True)
    usable = _usable(dataset)
    flips, files, reasons, index = (2 if plan.flip else 1), None, Counter[str](), list[int]()
    seen = _Seen(len(dataset))
    shapes: list[list[int]] = []
    with bar("encoding", len(dataset), show=progress) as shown:
        for numbers, pixels in _chunks(seen.watched(usable), reasons, shapes, prior.image_size, chunk, shown):
            both = torch.cat([pixels, pixels.flip(-1)]) if plan.flip else pixels
            with torch.no_grad():
                posterior = prior.posterior(both)
            found = [part.cpu().view(flips, -1, *part.shape[1:]).transpose(0, 1).half() for part in posterior]
            if files is None:
                shape = (len(dataset), *found[0].shape[1:])
                files = [_table(cache / f"{name}.npy", shape) for name in ("mean", "std")]
            for file, part in zip(files, found, strict=True):
                file[len(index) : len(index) + len(numbers)] = part.numpy()
            index += numbers
    for file in files or ():
        file.flush()
    kept = {"about": about, "index": index, "skipped": dict(reasons), "shapes": shapes, "groups": seen.groups(index)}
    replace_file(cache / "cache.json", lambda partial: partial.write_text(json.dumps(kept), encoding="utf-8"))
    return kept


def _usable(dataset: Dataset) -> Iterator[tuple[int, Image | str]]:
    for number in range(len(dataset)):
        try:
            yield number, dataset.image(number)
        except ImageError as error:
            yield number, str(error)


class _Seen:
    """The hashes of the images that pass by, and which of them are near-duplicates."""

    def __init__(self, count: int) -> None:
        self.hasher, self.content = ImageHasher(count), np.zeros(count, np.uint64)

    def watched(self, images: Iterator[tuple[int, Image | str]]) -> Iterator[tuple[int, Image | str]]:
        """The same images, each remembered."""
        for number, image in images:
            if not isinstance(image, str):
                pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
                self.content[number] = pixel_hash(pixels)
                self.hasher.add(number, small_version(pixels))
            yield number, image

    def groups(self, index: Sequence[int]) -> list[int]:
        """For each row the row of the first image of its group."""
        hashes, mirrored = self.hasher.finish()
        group = joined(len(self.content), near_duplicates(hashes, mirrored, self.content))
        row_of = {number: row for row, number in enumerate(index)}
        return [row_of[int(group[number])] for number in index]


def _chunks(
    images: Iterator[tuple[int, Image | str]],
    reasons: Counter[str],
    shapes: list[list[int]],
    size: int,
    chunk: int,
    shown: Bar,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    numbers: list[int] = []
    pixels: list[torch.Tensor] = []
    for number, image in images:
        shown.advance()
        if isinstance(image, str):
            reasons[image] += 1
            continue
        numbers.append(number)
        shapes.append(list(image.shape[-2:]))
        pixels.append(square(image, size))
        if len(numbers) == chunk:
            yield numbers, torch.stack(pixels)
            numbers, pixels = [], []
    if numbers:
        yield numbers, torch.stack(pixels)


def _table(file: Path, shape: tuple[int, ...]) -> Any:
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)


def _cached(cache: Path, about: str) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = parse_json((cache / "cache.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    there = all((cache / f"{name}.npy").is_file() for name in ("mean", "std"))
    return kept if there and kept.get("about") == about else None


def _hold_out(
    dataset: Dataset, index: Sequence[int], labels: Sequence[int], plan: FitPlan, group: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The same share of every class, chosen by a hash of the sample's id: order and size of the rest do not matter.

    Of a run, its originals are held out, and nothing that descends from them is trained on; near-duplicates stay on one
    side.
    """
    ids, label, relatives = [dataset.samples[i].id for i in index], np.array(labels), relatives_of(dataset)
    original = np.array([key not in relatives.new for key in ids], bool)
    usable = original if set(labels) == set(label[original].tolist()) else np.ones(len(ids), bool)

    def wanted(images: int) -> int:
        return min(images - 1, max(1, round(plan.held_out * images))) if plan.held_out > 0 else 0

    def ranked(_: int, rows: np.ndarray[Any, Any]) -> list[int]:
        return sorted(rows.tolist(), key=lambda row: substream(plan.seed, f"held-out/{ids[row]}"))

    chosen = np.flatnonzero(cut(label, usable, np.array(group), wanted=wanted, ranked=ranked)).tolist()
    related = relatives.related_to(ids[row] for row in chosen)
    return [row for row, key in enumerate(ids) if key not in related], chosen
