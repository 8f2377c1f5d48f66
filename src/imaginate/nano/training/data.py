"""Tiny-ImageNet as two memory-mapped arrays: decoded once, read in batches of uint8, augmented on tensors.

The 100,000 WebP images take half a minute to decode and 1.2 GB uncompressed, so the arrays are in a cache outside
the repository (`$IMAGINATE_CACHE`, else that of the system) and every training script shares them. A GPU holds them
all: there, batches are picked and augmented without a copy.
"""

import functools
import io
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from imaginate.errors import DataError
from imaginate.machine_cache import home

SIZE = 64
DEV = 2000  # train images kept aside: every choice is made on these, never on val


@dataclass(frozen=True)
class Images:
    """Decoded images with labels; `rows` restricts to a part without a copy."""

    pixels: Tensor  # (n, h, w, 3) uint8
    labels: Tensor  # (n,) int64
    rows: Tensor  # (m,) which of the n belong to this part

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, picks: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images (b, 3, h, w) in [0, 1] and labels (b,) at positions `picks` of this part."""
        rows = self.rows[torch.from_numpy(picks).to(self.rows.device)]
        return self.pixels[rows].permute(0, 3, 1, 2).float().div_(255), self.labels[rows]

    def on(self, device: str) -> "Images":
        """The same part held by a device; a CPU keeps the memory map."""
        if device == "cpu":
            return self
        return Images(*(part.to(device) for part in (self.pixels, self.labels, self.rows)))


def load(root: Path, part: str) -> Images:
    """The part `train` (98,000 images), `dev` (2,000 held out of train), `all` (both) or `val` of the folder `root`."""
    files = sorted(root.glob("val-*.parquet" if part == "val" else "train-*.parquet"))
    if not files:
        raise DataError(f"data must be a folder with train-*.parquet and val-*.parquet, got {root}")
    pixels, labels = _cached(files, "val" if part == "val" else "train")
    order = np.random.default_rng(0).permutation(len(labels))
    held = min(DEV, len(labels) // 10)
    rows = {"train": np.sort(order[held:]), "dev": np.sort(order[:held])}.get(part, np.arange(len(labels)))
    return Images(*(torch.from_numpy(array) for array in (pixels, labels, rows)))


@torch.no_grad()
def of_both_sides(images: Images, encode: Callable[[Tensor], Tensor], batch: int = 512) -> Tensor:
    """What `encode` makes of all images and of their mirror images, (n, 2, ...) in half precision; it is given batches
    (b, 3, h, w) in [0, 1]."""
    parts = []
    for first in range(0, len(images), batch):
        x, _ = images.batch(np.arange(first, min(first + batch, len(images))))
        parts.append(torch.stack([encode(x), encode(x.flip(-1))], 1).half())
    return torch.cat(parts)


def synonyms(root: Path) -> list[tuple[str, list[str]]]:
    """(WordNet id, names) of every class, in label order."""
    return [(c["wnid"], c["names"]) for c in json.loads((root / "classes.json").read_text(encoding="utf-8"))]


def picks_of_step(count: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Positions of one step's batch: epochs are permutations laid end to end, so that any step can be had alone."""
    first = step * batch
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < batch:
        at = first + sum(map(len, parts))
        parts.append(_order(count, seed, at // count)[at % count :][: batch - sum(map(len, parts))])
    return np.concatenate(parts)


@functools.lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def crop_flip(x: Tensor, smallest: float, rng: torch.Generator, size: int = SIZE) -> Tensor:
    """Random resized crop (area in [smallest, 1], aspect 3/4 to 4/3) and flip of a batch, as one grid sampling.

    (b, 3, h, w) in [0, 1] -> (b, 3, size, size)
    """
    b = len(x)
    u = torch.rand(5, b, generator=rng, device=rng.device)
    area, ratio = smallest + (1 - smallest) * u[0], torch.exp((u[1] * 2 - 1) * 0.2877)
    w, h = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(b, 2, 3, device=rng.device)
    theta[:, 0, 0], theta[:, 1, 1] = w * (1 - 2 * (u[4] < 0.5).float()), h
    theta[:, 0, 2], theta[:, 1, 2] = (u[2] * 2 - 1) * (1 - w), (u[3] * 2 - 1) * (1 - h)
    grid = F.affine_grid(theta, [b, 3, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _cached(files: list[Path], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Memory maps of the decoded files; decoded now when the cache has none for these very files."""
    key = f"{name}-{sum(f.stat().st_size for f in files)}"
    folder = home() / "tiny-imagenet-64"
    pixels, labels = folder / f"{key}-pixels.npy", folder / f"{key}-labels.npy"
    if not labels.is_file():  # written last
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(max_workers=min(os.cpu_count() or 1, len(files))) as workers:
            parts = list(workers.map(_decode, files))
        _save(pixels, np.concatenate([p for p, _ in parts]))
        _save(labels, np.concatenate([q for _, q in parts]))
    return np.load(pixels, mmap_mode="c"), np.load(labels)  # "c": torch warns of arrays that cannot be written


def _save(path: Path, array: np.ndarray) -> None:
    """Write an array under a temporary name, then move it in place."""
    part = path.with_name(f"{os.getpid()}-{path.name}")
    np.save(part, array)
    part.replace(path)


def _decode(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 64, 64, 3) uint8 and labels (n,) of one parquet file."""
    from PIL import Image
    from pyarrow import parquet

    table = parquet.read_table(file, columns=["image", "label"])
    rows: Iterator[dict[str, bytes]] = iter(table.column("image").to_pylist())
    pixels = [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in rows]
    return np.stack(pixels), table.column("label").to_numpy().astype(np.int64)
