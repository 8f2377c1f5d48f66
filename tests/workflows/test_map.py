"""The map of a run: what is on it, and how it is asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imaginate
from colour_guide import ColourGuide
from imaginate.errors import ConfigError
from imaginate.runs import RunFolder
from imaginate.workflows import map as maps
from worlds import folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(maps, "_guide", lambda *_: ColourGuide())
    for split, each in (("train", 3), ("extra", 2), ("test", 4)):
        folder(tmp_path / "data" / split, ("ant", "bee"), each=each)
    imaginate.expand(str(tmp_path / "data"), tmp_path / "run", "cutout", split="train", copies=2, progress=False)
    return RunFolder(tmp_path / "run")


def test_seeds_copies_and_a_split_that_the_run_did_not_read_are_on_it(run: RunFolder) -> None:
    drawn = maps.draw_map(run)
    assert drawn is not None
    assert Counter(point.origin for point in drawn.points) == {"seed": 6, "new": 12, "held-out": 8}
    assert {point.class_name for point in drawn.points} == {"ant", "bee"}


def test_a_run_whose_data_is_gone_has_a_map_of_its_own_images(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    drawn = maps.draw_map(run)
    assert drawn is not None
    assert Counter(point.origin for point in drawn.points) == {"seed": 6, "new": 12}


def test_what_cannot_be_drawn_is_said_before_any_work(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="map_by must be one of pca, umap, got 'tsne'"):
        imaginate.report(run.root, map=True, map_by="tsne")
    monkeypatch.setattr(maps, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'imaginate\[umap\]'"):
        imaginate.report(run.root, map=True, map_by="umap")
    assert not (Path(run.root) / "report.html").exists()


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_umap_is_the_same_each_time_and_keeps_neighbours(run: RunFolder) -> None:
    pytest.importorskip("umap", reason="umap-learn (extra umap) is not installed")
    first, second = (maps.draw_map(run, by="umap") for _ in range(2))
    assert first is not None
    assert first == second
    assert "UMAP" in first.note
    places: Any = np.array([(point.x, point.y) for point in first.points])
    assert np.isfinite(places).all()
    assert len(np.unique(places.round(6), axis=0)) > 6
