"""A run behind a URL is measured and reported on as one in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imaginate
from imaginate.errors import ConfigError
from imaginate.files import Folder
from worlds import folder


def test_a_run_behind_a_url_is_a_run_for_every_command(tmp_path: Path) -> None:
    data, url = tmp_path / "data", "memory://measured/run"
    for split in ("train", "test"):
        folder(data / split)
    run = imaginate.expand(str(data), url, "flip-crop", copies=1, progress=False)
    assert run.kept == 12
    measured = imaginate.evaluate(url, str(data), features="nano", progress=False)
    assert measured["images"]["new"] == 12
    assert json.loads(Folder(url).get("metrics.json"))["images"] == measured["images"]
    with pytest.raises(ConfigError, match="name a folder for the report with --out"):
        imaginate.report(url)
    (page,) = imaginate.report(url, out=tmp_path / "report")
    text = page.read_text()
    assert text.count("data:image/webp;base64,") >= 12
    assert "out of date" not in text
    again = imaginate.open_dataset(url)
    assert (again.format, len(again.samples)) == ("run", 24)
