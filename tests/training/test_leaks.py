"""A copy is found whatever was done to it that a person would not notice; another picture is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from imaginate.data import open_dataset
from imaginate.training.leaks import overlap
from imaginate.training.pixel_cache import PixelCache, build_pixel_cache


def photographs(count: int) -> list[Image.Image]:
    """Smooth random pictures of muted colours, 96 px."""
    rng = np.random.default_rng(0)
    coarse = (rng.integers(40, 160, (count, 6, 6, 1)) + rng.integers(0, 30, (count, 6, 6, 3))).astype(np.uint8)
    return [Image.fromarray(x).resize((96, 96), Image.Resampling.BICUBIC) for x in coarse]


def store(folder: Path, images: list[Image.Image]) -> PixelCache:
    (folder / "a").mkdir(parents=True)
    for i, image in enumerate(images):
        image.save(folder / "a" / f"{i}.png")
    return build_pixel_cache(open_dataset(folder).samples, folder / "cache", size=32, classes=1)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda x: x,
    "mirrored": ImageOps.mirror,
    "brighter": lambda x: ImageEnhance.Brightness(x).enhance(1.3),
    "less contrast": lambda x: ImageEnhance.Contrast(x).enhance(0.6),
    "half size": lambda x: x.resize((48, 48)),
    "grey": lambda x: x.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(tmp_path: Path, change: str) -> None:
    images = photographs(24)
    held = store(tmp_path / "held", images[:12])
    train = store(tmp_path / "train", [*images[12:], *(CHANGES[change](x) for x in images[:4])])
    found = overlap(train, held)
    place = {name: int(Path(name).stem) for name in (*train.ids, *held.ids)}
    pairs = {(place[train.ids[i]], place[held.ids[j]]) for i, j in found.pairs}
    assert pairs == {(12 + k, k) for k in range(4)}
    assert (len(found.same) == 4) == (change == "as it is")


def test_plain_images_are_the_same_only_by_their_pixels(tmp_path: Path) -> None:
    plain = [Image.new("RGB", (40, 40), (v, v, v)) for v in (10, 120, 240)]
    held, train = store(tmp_path / "held", plain[:2]), store(tmp_path / "train", plain[1:])
    found = overlap(train, held)
    assert (len(found.same), len(found.near)) == (1, 0)
