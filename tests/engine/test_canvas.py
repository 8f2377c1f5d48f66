"""Copies of a prior have the shape of their seeds, and no colour where no seed has one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate


def _write(path: Path, size: tuple[int, int], *, grey: bool, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    (picture.convert("L").convert("RGB") if grey else picture).save(path)


def _run(place: Path, **settings: object) -> dict[str, list[Image.Image]]:
    """The copies of each seed of a MAE run."""
    run = imaginate.expand(
        str(place / "data"), place / "run", "mae", copies=1, prior="nano", progress=False, **settings
    )
    rows = run.table().to_pylist()
    copies: dict[str, list[Image.Image]] = {}
    for row in rows:
        if row["method"]:
            copies.setdefault(row["seed_image"], []).append(Image.open(place / "run" / row["file_name"]).convert("RGB"))
    return copies


@pytest.mark.parametrize(
    ("fit_image", "wanted"), [("pad", [(64, 16), (32, 64)]), ("crop", [(64, 64)] * 2), ("stretch", [(64, 64)] * 2)]
)
def test_the_shape_of_a_copy(tmp_path: Path, fit_image: str, wanted: list[tuple[int, int]]) -> None:
    _write(tmp_path / "data/a/wide.png", (120, 30), grey=False, seed=1)
    _write(tmp_path / "data/b/high.png", (50, 100), grey=False, seed=2)
    copies = _run(tmp_path, fit_image=fit_image)
    assert [copies[name][0].size for name in ("a/wide.png", "b/high.png")] == wanted
    facts = json.loads((tmp_path / "run/run.json").read_text())
    assert facts["totals"]["new_size"] == list(copies["a/wide.png"][0].size)
    assert facts["totals"]["seed_size"] == [120, 30]


def _colourful(picture: Image.Image) -> int:
    pixels = np.asarray(picture).astype(int)
    return int((pixels.max(axis=2) - pixels.min(axis=2)).max())


def test_grey_stays_grey_only_where_all_seeds_are(tmp_path: Path) -> None:
    for place in (tmp_path / "one", tmp_path / "two"):
        _write(place / "data/a/0.png", (40, 40), grey=True, seed=3)
        _write(place / "data/b/0.png", (40, 30), grey=place.name == "one", seed=4)
    assert all(_colourful(copy) == 0 for copies in _run(tmp_path / "one").values() for copy in copies)
    assert max(_colourful(copy) for copies in _run(tmp_path / "two").values() for copy in copies) > 0


def test_it_is_said_once_that_copies_are_smaller_than_their_seeds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        _write(tmp_path / f"data/a/{number}.png", (300, 200), grey=False, seed=number)
    _run(tmp_path, shard=1)
    (line,) = [record.message for record in caplog.records if "smaller than" in record.message]
    assert "64 x 43" in line
    assert "300 x 200" in line
    assert "64 x 43" in (tmp_path / "run/README.md").read_text()
    assert "64 x 43" in str(imaginate.plan(str(tmp_path / "data"), "mae", copies=1, prior="nano"))
