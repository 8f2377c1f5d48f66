"""Pictures of a report that are not in the run or the study: found as they were read there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imaginate
from imaginate.data.spec import source_of
from imaginate.reports.read import read
from imaginate.runs import RunFolder
from imaginate.workflows.report import image_reader

tifffile = pytest.importorskip("tifffile")


def _bands(root: Path) -> str:
    """Images of four bands, in folders that are classes and not splits, with one more file of another kind."""
    for label, level in (("train", 30), ("other", 90)):
        (root / label).mkdir(parents=True)
        for number in range(4):
            values = np.full((16, 16, 4), level + number, np.uint16) * np.arange(1, 5, dtype=np.uint16)
            tifffile.imwrite(root / label / f"{number}.tif", values, photometric="rgb", extrasamples=["unspecified"])
    return str(root)


def test_the_seeds_of_a_run_are_read_as_the_run_read_them(tmp_path: Path) -> None:
    data, run = _bands(tmp_path / "data"), tmp_path / "run"
    how = {"layout": "classes", "channels": "4,3,2", "range": "0..400"}
    imaginate.expand(data, run, "duplicate", copies=1, originals="none", progress=False, **how)
    section = RunFolder(run).recipe["data"]
    assert source_of(section) == {"path": data, "layout": "classes", "channels": [4, 3, 2], "range": "0..400"}
    found = image_reader()(section, "other/0.tif")
    assert found is not None
    (tmp_path / "seen.png").write_bytes(found)
    with Image.open(tmp_path / "seen.png") as picture:
        assert picture.getpixel((0, 0)) == (230, 172, 115)  # 360, 270 and 180 of 400
    imaginate.report(run, out=tmp_path / "report", formats=["html"])
    assert "no picture" not in (tmp_path / "report" / "report.html").read_text()


def test_mistakes_are_shown_of_images_that_a_study_left_out(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(12):  # noise: many are called wrongly
            pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{number}.png")
    imaginate.compare(
        tmp_path / "data", ["original", "online-aug"], None, tmp_path / "study", shots=4,
        held_out_split="rest", arch="small", image_size=32, updates=2, batch=4, seeds=2, controls=False, progress=False,
    )  # fmt: skip
    assert read(tmp_path / "study")
    imaginate.report(tmp_path / "study", out=tmp_path / "report", formats=["html"])
    page = (tmp_path / "report" / "report.html").read_text()
    assert ", taken for " in page
    assert 'alt="a, taken for b"' in page or 'alt="b, taken for a"' in page
