"""The probe of files: what differs is recognised and named, what does not is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaginate.data import open_dataset
from imaginate.evaluation.file_probe import probe


def samples(root: Path, *, size: tuple[int, int] = (32, 32), suffix: str = "png", seed: int = 0, count: int = 30):
    rng = np.random.default_rng(seed)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(count // 2):
            pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.{suffix}")
    return open_dataset(root).samples


def test_files_of_one_kind_are_not_recognised(tmp_path: Path) -> None:
    found = probe(samples(tmp_path / "old"), samples(tmp_path / "new", seed=1), 32)
    assert found is not None
    assert found["recognised"] < 0.7
    assert found["by"]["codec"] == found["by"]["size"] == found["by"]["aspect"] == 0.5


@pytest.mark.parametrize(
    ("other", "properties"),
    [
        ({"suffix": "webp"}, {"codec", "bytes"}),
        ({"size": (48, 32)}, {"size", "aspect", "bytes"}),
        ({"size": (16, 16)}, {"size", "bytes"}),
    ],
)
def test_each_property_that_differs_is_named(tmp_path: Path, other: dict, properties: set[str]) -> None:
    found = probe(samples(tmp_path / "old"), samples(tmp_path / "new", seed=1, **other), 32)
    assert found is not None
    assert found["recognised"] == 1.0
    assert {name for name, share in found["by"].items() if share > 0.9} >= properties
    assert {name for name, share in found["by"].items() if share == 0.5} >= {"codec", "aspect", "size"} - properties
    assert all(name in found["text"] for name in properties)
    assert ("less sharp" in found["text"]) is (other.get("size") == (16, 16))


def test_arrays_have_no_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    splits = ("train", "val", "test")
    parts = {f"{split}_images": rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8) for split in splits}
    labels = {f"{split}_labels": np.arange(20) % 2 for split in splits}
    np.savez(tmp_path / "x.npz", **parts, **labels)
    data = open_dataset(tmp_path / "x.npz").samples
    assert probe(data, samples(tmp_path / "new"), 32) is None
