"""Tiny datasets and hand-written runs for tests of the protocol: the class is the colour, at 32 px."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

CLASSES = ("blue", "green", "red")


def picture(label: int, rng: np.random.Generator) -> np.ndarray:
    pixels = rng.integers(0, 256, (8, 8, 3)).repeat(4, 0).repeat(4, 1)
    pixels[..., 2 - label] = np.clip(pixels[..., 2 - label] + 70, 0, 255)
    return pixels.astype(np.uint8)


def write_folder(root: Path, counts: dict[str, int], *, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    """root/<split>/<class>/<n>.png"""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for label, name in enumerate(classes):
            place = root / split / name
            place.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.fromarray(picture(label, rng)).save(place / f"{i}.png")
    return root


Maker = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image.astype(int) + rng.integers(-60, 60, image.shape), 0, 255).astype(np.uint8)


def write_run(
    out: Path, data: Path, seeds: dict[str, int], *, copies: int = 2, make: Maker = noisy, **columns: list
) -> Path:
    """A finished run by hand: `seeds` maps sample ids of `data` to labels."""
    rng = np.random.default_rng(7)
    rows = []
    for name, label in seeds.items():
        image = np.asarray(Image.open(data / name).convert("RGB"))
        for copy in range(copies):
            file = f"images/{CLASSES[label]}/{name.replace('/', '_')[:-4]}_{copy}.png"
            (out / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(make(image, rng)).save(out / file)
            rows.append(
                {
                    "file_name": file, "label": label, "class_name": CLASSES[label], "origin": "synthetic",
                    "seed_image": name, "method": "noise", "copy": copy, "kept": True,
                }
            )  # fmt: skip
    for key, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[key] = value
    pq.write_table(pa.Table.from_pylist(rows), out / "metadata.parquet")
    (out / "recipe.yaml").write_text(yaml.safe_dump({"data": {"path": str(data)}, "method": {"name": "noise"}}))
    (out / "run.json").write_text(json.dumps({"classes": [{"name": name} for name in CLASSES]}))
    return out
