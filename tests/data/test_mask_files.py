"""Masks next to their images are no images of a class; what is only named like one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaginate.data import open_dataset
from imaginate.data.mask_files import IS_MASK


def lay(root: Path, files: dict[str, str]) -> Path:
    """Files by name: a photograph, a mask in black and white, one of three classes, or a smoothed one."""
    draw = np.random.default_rng(0)
    for name, kind in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "photo":
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), np.uint8)).save(place)
        elif kind == "grey":
            Image.fromarray(draw.integers(0, 256, (24, 24), np.uint8)).save(place)
        else:
            pixels = np.zeros((24, 24), np.uint8)
            pixels[6:12, 4:18] = {"mask": 255, "classes": 2, "black": 0}[kind]
            Image.fromarray(pixels).save(place)
    return root


def each(*names: str, count: int = 4, **kinds: str) -> dict[str, str]:
    return {name.format(c=c, n=n): kind for c in "ab" for n in range(count) for name, kind in kinds.items()} | {
        name.format(c=c, n=n): "photo" for c in "ab" for n in range(count) for name in names
    }


@pytest.mark.parametrize(
    "files",
    [
        each("{c}/{c} ({n}).png", **{"{c}/{c} ({n})_mask.png": "mask", "{c}/{c} ({n})_mask_1.png": "mask"}),
        each("{c}/{n}.jpg", **{"{c}/{n}.png": "mask"}),
        each("{c}/Part{n}.jpg", **{"{c}/Part{n}_label.bmp": "classes"}),
        each("{c}/images/{n}.png", **{"{c}/lung masks/{n}.png": "mask"}),
        each("x/{c}/{c}/{n}.png", **{"x/{c}/{c} GT/{n}.png": "mask"}),
        each("Data/{c}/{n}.jpg", **{"Masks/{c}/{n}.png": "black"}),
        each("{c}/images/{n}.tif", **{"{c}/segmentation/{n}_seg.tif": "mask"}),
    ],
)
def test_masks_are_left_out_and_said(files: dict[str, str], tmp_path: Path) -> None:
    data = open_dataset(lay(tmp_path / "set", files))
    assert data.counts() == {"a": 4, "b": 4}
    masks = sum(kind != "photo" for kind in files.values())
    assert data.reasons() == {IS_MASK: masks}
    assert f"{masks} files are masks of images that are here, and are left out" in data.notes[0]
    classes = open_dataset(tmp_path / "set", layout="classes")
    assert len(classes) == len(files)


@pytest.mark.parametrize(
    "files",
    [
        each("with_mask/{n}.jpg", "without_mask/{n}.jpg"),
        each("mask/{c}{n}.jpg", "no mask/{c}{n}.jpg"),
        each("{c}/{n}.jpg", "{c}/{n}_label.jpg"),
        each("{c}/{n}.jpg", "{c}/{n}.png"),
        each(**{"masks/{n}{c}.png": "mask", "coins/{c}{n}.png": "mask"}),
        each("{c}/{n}.jpg", **{"{c}/{n}_mask.png": "grey"}),
    ],
)
def test_pictures_that_are_named_like_masks_are_images(files: dict[str, str], tmp_path: Path) -> None:
    data = open_dataset(lay(tmp_path / "set", files))
    assert len(data) == len(files)
    assert IS_MASK not in data.reasons()
