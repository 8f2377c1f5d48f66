"""Defects pasted onto normal images: Poisson's equation inside the mask, nothing outside of it, and clear refusals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imaginate import registry
from imaginate.data import open_dataset
from imaginate.data.seed_images import SeedImages
from imaginate.errors import ConfigError
from imaginate.methods.core import masks as masks_module
from imaginate.methods.core.blending import ERODED, Move, blend, margin, widened
from imaginate.records import Candidate, Request
from worlds import png

pytest.importorskip("cv2")
SIDE = 48


def surface(number: int, side: int = SIDE) -> np.ndarray:
    """(h, w, 3) uint8, smooth: far from black and white, so that blending clips nothing."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:side, 0:side] / side
    wave = 20 * np.sin(6 * x + rng.uniform(0, 6)) + 15 * np.sin(5 * y + rng.uniform(0, 6))
    return (rng.uniform(100, 150) + wave[..., None] * rng.uniform(0.7, 1.2, 3)).astype(np.uint8)


def planes(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).contiguous()


def box(top: int, left: int, height: int, width: int, side: int = SIDE) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[top : top + height, left : left + width] = True
    return mask


class World:
    """contract.Context over a dataset that was read."""

    device = "cpu"

    def __init__(self, path: Path, **how: Any) -> None:
        data = open_dataset(str(path), **how)
        self.labels, self.samples = data.labels, SeedImages(data.samples)

    def requests(self, name: str | None = None, copies: int = 2) -> list[Request]:
        found = []
        for i in range(len(self.samples)):
            sample = self.samples.sample(i)
            if name in (None, self.labels[sample.label].name):
                found.append(
                    Request(
                        key=sample.id, label=sample.label, copies=tuple(range(copies)),
                        seeds=tuple(50 * i + c for c in range(copies)), sample=sample, image=self.samples.image(i),
                    )
                )  # fmt: skip
        return found


def dataset(root: Path, *, each: int = 3) -> Path:
    """As MVTec AD has it: train/good, test/good, test/crack, ground_truth/crack."""
    for folder in ("train/good", "test/good", "test/crack", "ground_truth/crack"):
        (root / folder).mkdir(parents=True)
    for i in range(each):
        (root / f"train/good/{i:03d}.png").write_bytes(png(surface(i)))
        (root / f"test/good/{i:03d}.png").write_bytes(png(surface(50 + i)))
        mask = box(8 + 6 * i, 10 + 5 * i, 9, 6)
        picture = surface(90 + i)
        picture[mask] = 20
        (root / f"test/crack/{i:03d}.png").write_bytes(png(picture))
        (root / f"ground_truth/crack/{i:03d}_mask.png").write_bytes(png(mask.astype(np.uint8) * 255))
    return root


def paste(world: World, requests: list[Request] | None = None, **how: Any) -> list[Candidate]:
    method = registry.make("methods", "paste", how)
    method.prepare(world)
    return list(method.expand(world.requests() if requests is None else requests, world))


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_inside_is_the_equation_of_poisson_and_outside_is_the_target(
    number: int, top: int, left: int, height: int, width: int
) -> None:
    """The Laplacian inside is the source's; outside of the widened mask no pixel changes."""
    rng = np.random.default_rng(number)
    source, target = surface(number), surface(number + 100)
    source = (source.astype(int) + rng.integers(-12, 12, source.shape)).astype(np.uint8)
    mask = box(top, left, height, width)
    image, placed = blend(planes(source), mask, planes(target), Move(), "poisson")
    assert (placed == mask).all()
    out = image.permute(1, 2, 0).numpy()
    grown = widened(mask, margin(SIDE, SIDE))
    assert (out[~grown] == target[~grown]).all()
    inside = mask[1:-1, 1:-1]

    def laplacian(picture: np.ndarray) -> np.ndarray:
        p = picture.astype(float)
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]

    away = np.abs(laplacian(out) - laplacian(source))[inside]
    assert away.size == 0 or away.max() <= 8  # five pixels, each rounded to a level


@pytest.mark.parametrize(("top", "left"), [(20, 20), (0, 0), (SIDE - 3, SIDE - 3), (0, 25)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 3), (3, 20)])
def test_a_small_defect_with_a_tight_mask_survives_at_the_border_too(
    top: int, left: int, height: int, width: int
) -> None:
    """OpenCV narrows a mask by three pixels: a tight one would take the defect for its surroundings."""
    assert margin(SIDE, SIDE) > ERODED
    mask = box(top, left, height, width)
    source, target = surface(1), surface(2)
    source[mask] = 10
    image, _ = blend(planes(source), mask, planes(target), Move(), "poisson")
    contrast = target[mask].astype(int).mean() - image.permute(1, 2, 0).numpy()[mask].astype(int).mean()
    assert contrast > 0.7 * (surface(1)[mask].astype(int).mean() - 10)


@given(
    st.integers(0, 2**32),
    st.floats(0, 1),
    st.sampled_from([0.0, 10.0, 90.0, 180.0]),
    st.integers(0, 40),
    st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_a_moved_defect_stays_in_the_picture(seed: int, shift: float, turn: float, top: int, left: int) -> None:
    import random

    mask = box(top, left, 6, 7)
    move = Move.drawn(random.Random(seed), mask, shift, turn)
    placed = move.applied(mask)
    assert 0.8 * mask.sum() <= placed.sum() <= 1.2 * mask.sum()  # turned pixels are rounded
    if turn == 0:
        assert max(abs(move.right), abs(move.down)) <= round(shift * SIDE)
        assert (np.roll(mask, (move.down, move.right), (0, 1)) == placed).all()


def test_a_defect_as_long_as_the_picture_is_turned_around_its_middle() -> None:
    import random

    mask = box(0, 30, SIDE, 2)
    for seed in range(10):
        assert Move.drawn(random.Random(seed), mask, 0.2, 90).applied(mask).sum() > SIDE


def test_masks_are_found_as_mvtec_has_them_and_the_class_without_is_normal(tmp_path: Path) -> None:
    world = World(dataset(tmp_path / "bottle"), split="all")
    made = paste(world, shift=0.0)
    assert len(made) == 2 * len(world.samples)
    for c in made:
        assert c.failed is None
        assert c.image.shape == (3, SIDE, SIDE)
        assert "/good/" in str(c.info["partner"])
        assert c.info["partner"] != c.key
        if world.labels[c.label].name == "crack":
            assert c.info["mask_of"] == c.key
            number = int(Path(c.key).stem)
            assert (c.mask == box(8 + 6 * number, 10 + 5 * number, 9, 6)).all()
            seen = c.image.permute(1, 2, 0).numpy().astype(int)
            around = widened(c.mask, 8) & ~widened(c.mask, 6)
            assert seen[around].mean() - seen[c.mask].mean() > 50
        else:
            assert c.mask is None  # a piece of another normal image: no defect
    apart = {c.copy: c.image for c in made if c.key == "test/crack/000.png"}
    assert not torch.equal(apart[0], apart[1])


@pytest.mark.parametrize("where", ["folder", "flat", "table", "column"])
def test_masks_come_from_a_folder_or_a_table(tmp_path: Path, where: str) -> None:
    root = dataset(tmp_path / "d")
    expected = [c.image for c in paste(World(root / "test"))]
    moved = tmp_path / "elsewhere"
    shutil.move(root / "ground_truth", moved)
    if where == "flat":
        for file in (moved / "crack").iterdir():
            file.rename(moved / file.name.replace("_mask", ""))
    if where in ("table", "column"):
        name, mask = ("image", "mask") if where == "table" else ("File_Name", "mask_path")
        lines = [f"test/crack/{i:03d}.png,../elsewhere/crack/{i:03d}_mask.png" for i in range(3)]
        (root / "anno.csv").write_text("\n".join([f"{name},{mask}", *lines, "test/good/000.png,"]) + "\n")
    if where == "flat":  # an image of the same name is found in every class: the normal one must be named
        with pytest.raises(ConfigError, match="which class is normal"):
            paste(World(root / "test"), masks=str(moved))
    more = {"normal": "good"} if where == "flat" else {}
    place = root / "anno.csv" if where in ("table", "column") else moved
    got = [c.image for c in paste(World(root / "test"), masks=str(place), **more)]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    root = dataset(tmp_path / "d")
    truth = root / "ground_truth/crack"

    def refused(match: str, **how: Any) -> None:
        masks_module._KEPT.clear()
        with pytest.raises(ConfigError, match=match):
            paste(World(root / "test"), **how)

    refused("there is no class 'godo'; did you mean 'good'", normal="godo")
    refused("nowhere is no folder and no csv", masks=str(root / "nowhere"))
    (tmp_path / "empty").mkdir()
    refused("paste needs a mask for each image of a defect, .*empty has none: --masks", masks=str(tmp_path / "empty"))
    (tmp_path / "t.csv").write_text("image,label\na.png,b\n")
    refused(r"no column of masks \(mask, mask_path\); it has image, label", masks=str(tmp_path / "t.csv"))
    for file in truth.iterdir():
        file.write_bytes(png(np.zeros((SIDE, SIDE), np.uint8)))
    refused(r"no image of class 'crack' has a mask that can be used \(empty mask: .*000_mask.png\)")
    for file in truth.iterdir():
        file.write_bytes(png(np.full((SIDE, SIDE), 255, np.uint8)))
    refused("mask of the whole image")
    for file in truth.iterdir():
        file.write_bytes(png(np.eye(20, dtype=np.uint8) * 255))
    refused("mask of 20 x 20 pixels, image of 48 x 48")
    shutil.rmtree(root / "ground_truth")
    refused("none was found next to the images: --masks FOLDER")


def test_one_bad_mask_costs_its_own_copies_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = dataset(tmp_path / "d")
    truth = root / "ground_truth/crack"
    (truth / "000_mask.png").write_bytes(png(np.eye(20, dtype=np.uint8) * 255))
    (truth / "001_mask.png").unlink()
    world = World(root / "test")
    reasons = [c.failed for c in paste(world, world.requests("crack", copies=1))]
    assert reasons == ["mask of 20 x 20 pixels, image of 48 x 48", "no mask", None]
    assert "1 images of defects have no mask: their copies are rejected" in caplog.text
    assert all(c.failed is None for c in paste(world, world.requests("good")))


@pytest.mark.parametrize("kind", ["bits", "grey", "jpeg", "palette", "rgba"])
def test_a_mask_is_read_however_it_was_saved(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    mask = box(10, 12, 16, 8)
    drawn = Image.fromarray(mask.astype(np.uint8) * (1 if kind == "bits" else 255))
    if kind == "palette":
        drawn = Image.fromarray(mask.astype(np.uint8), "P")
        drawn.putpalette([0, 0, 0, 128, 0, 0])
    if kind == "rgba":
        drawn = Image.merge("RGBA", (drawn, drawn, drawn, Image.new("L", drawn.size, 255)))
    path = tmp_path / ("m.jpg" if kind == "jpeg" else "m.png")
    drawn.save(path, **({"quality": 60} if kind == "jpeg" else {}))
    got = masks_module.read_mask(str(path), (SIDE, SIDE))
    assert (got != mask).sum() <= (12 if kind == "jpeg" else 0)


def test_a_run_has_the_masks_of_its_images_at_their_size(tmp_path: Path) -> None:
    from PIL import Image

    import imaginate
    from imaginate.runs import RunFolder

    root, out = dataset(tmp_path / "d"), tmp_path / "run"
    imaginate.expand(str(root), str(out), "paste", split="all", copies=2, output_size=24, progress=False)
    rows = [row for row in RunFolder(str(out)).rows() if row["method"]]
    assert len(rows) == 18
    for row in rows:
        if row["class_name"] == "good":
            assert row["info_mask"] is None
            continue
        assert row["info_mask"] == "masks" + row["file_name"].removeprefix("images")
        mask, image = (Image.open(out / row[key]) for key in ("info_mask", "file_name"))
        assert mask.size == image.size == (24, 24)
        values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        seen = np.asarray(image).astype(int).mean(-1)
        assert seen[values == 0].mean() - seen[values == 255].mean() > 30
    before = {path: path.read_bytes() for path in out.rglob("masks/**/*.png")}
    assert len(before) == 6
    for path in [*out.rglob("masks/**/*.png"), *out.rglob("images/**/*.png")]:
        path.unlink()
    imaginate.expand(str(root), str(out), "paste", split="all", copies=2, output_size=24, restore=True, progress=False)
    assert all(path.read_bytes() == data for path, data in before.items())
