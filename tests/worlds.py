"""Small datasets and contexts that tests share: made on the spot, a few kilobytes each."""

from __future__ import annotations

import atexit
import functools
import io
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from imaginate.records import LabelSpace, Request, Sample, image_seed


def picture(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """(h, w, 3) uint8: a smooth gradient with a coloured square, different for every number."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (height + width)], -1)
    out = (base * rng.uniform(0.3, 1, 3) + rng.uniform(0, 60, 3)).clip(0, 255).astype(np.uint8)
    top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
    out[top : top + 8, left : left + 8] = rng.integers(0, 256, 3)
    return out


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def folder(root: Path, classes: tuple[str, ...] = ("ant", "bee", "cow"), each: int = 4, size: int = 24) -> Path:
    """An image folder of PNG files."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            number = zlib.crc32(f"{label}/{i}".encode())
            (root / name / f"{i:03d}.png").write_bytes(png(picture(number, size, size + 8)))
    return root


def named(root: Path, names: tuple[str, str], each: int) -> Path:
    """A table of two classes with any names, whose pictures are next to it."""
    folder(root / "pictures", ("a", "b"), each=each)
    rows = ["file,label", *(f"pictures/{'ab'[k]}/{i:03d}.png,{names[k]}" for k in range(2) for i in range(each))]
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root / "labels.csv"


@dataclass(frozen=True)
class MemorySource:
    data: bytes

    def read(self) -> bytes:
        return self.data


class MemoryImages:
    """contract.Images over pictures made on the spot."""

    def __init__(self, count: int, classes: int, size: int = 24, square: bool = False) -> None:
        self._width = size if square else size + 8
        self._size, self._classes, self._count = size, classes, count

    def __len__(self) -> int:
        return self._count

    def sample(self, index: int) -> Sample:
        source = MemorySource(png(picture(index, self._size, self._width)))
        return Sample(id=f"s{index}", label=index % self._classes, source=source)

    def image(self, index: int) -> torch.Tensor:
        return torch.from_numpy(picture(index, self._size, self._width)).permute(2, 0, 1).contiguous()


@functools.cache
def mask_folder(count: int = 9, classes: int = 3, size: int = 24) -> str:
    """A folder with a mask for each of the `MemoryImages` that is not of the first class; gone when the tests end."""
    holder = tempfile.TemporaryDirectory()
    atexit.register(holder.cleanup)
    for i in range(count):
        if i % classes:
            mask = np.zeros((size, size + 8), np.uint8)
            mask[4 + i : 9 + i, 6:12] = 255
            (Path(holder.name) / f"s{i}_mask.png").write_bytes(png(mask))
    return holder.name


class World:
    """contract.Context with the roles it was given."""

    device = "cpu"

    def __init__(self, classes: int = 3, count: int = 9, size: int = 24, square: bool = False, **roles: Any) -> None:
        self.labels = LabelSpace.of(["ant", "bee", "cow", "dog", "elk"][:classes])
        self.samples = MemoryImages(count, classes, size, square)
        for name, role in roles.items():
            setattr(self, name, role)

    def requests(self, method: str, count: int = 3, copies: int = 3, run_seed: int = 0) -> list[Request]:
        """Requests for the first seed images."""
        out = []
        for i in range(count):
            sample = self.samples.sample(i)
            numbers = tuple(range(copies))
            seeds = tuple(image_seed(run_seed, method, sample.id, c) for c in numbers)
            image = self.samples.image(i)
            out.append(
                Request(key=sample.id, label=sample.label, copies=numbers, seeds=seeds, sample=sample, image=image)
            )
        return out

    def class_requests(self, method: str, copies: int = 3, run_seed: int = 0) -> list[Request]:
        """Requests for every class."""
        out = []
        for label, info in enumerate(self.labels):
            key, numbers = f"class/{info.name}", tuple(range(copies))
            seeds = tuple(image_seed(run_seed, method, key, c) for c in numbers)
            out.append(Request(key=key, label=label, copies=numbers, seeds=seeds))
        return out


def clip_retrieval(place: Path, vectors: np.ndarray) -> str:
    """Embeddings as clip-retrieval keeps them; where they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (place / "img_emb").mkdir(parents=True)
    (place / "metadata").mkdir()
    np.save(place / "img_emb/img_emb_0.npy", vectors)
    columns = {"url": [f"https://example.org/{i}.jpg" for i in range(len(vectors))]}
    pq.write_table(pa.table(columns), place / "metadata/metadata_0.parquet")
    return str(place)
