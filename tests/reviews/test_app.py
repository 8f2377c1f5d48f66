"""What the page's server writes down when several requests come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imaginate
from imaginate.decisions import read_log
from imaginate.files import Folder
from imaginate.reviews.app import Review
from imaginate.reviews.contents import Contents
from imaginate.runs import RunFolder
from worlds import folder


def test_decisions_that_come_at_once_are_all_written(tmp_path: Path) -> None:
    imaginate.expand(str(folder(tmp_path / "data", each=2)), str(tmp_path / "run"), "cutout", copies=4, progress=False)
    run = RunFolder(Folder(str(tmp_path / "run")))
    rows = [row for row in run.rows() if row["method"] is not None]
    contents = Contents(run=run, rows=rows, seeds={}, classes=["ant", "bee", "cow"])
    review = Review(contents=contents, by="ada", token="t")
    images = [str(row["file_name"]).rsplit("/", 1)[-1] for row in rows]
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda image: review.decide({"image": image, "verdict": "reject"}), images))
    assert sorted(one.image for one in read_log(run.store)) == sorted(images)
