"""Scores that are written do not change with the batch, the shard or the number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import imaginate
from imaginate.records import steady


@pytest.fixture
def data(tmp_path: Path) -> Path:
    draw = np.random.default_rng(5)
    for number in range(12):
        file = tmp_path / "data" / ("a" if number % 2 else "b") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        size = ((40, 40), (64, 48), (90, 70))[number % 3]
        coarse = Image.fromarray(draw.integers(0, 256, (5, 5, 3), np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(file)
    return tmp_path / "data"


def test_shards_and_threads_change_no_more_than_the_last_decimal_of_a_score(data: Path, tmp_path: Path) -> None:
    def rows(name: str, **knobs: Any) -> list[dict[str, Any]]:
        run = imaginate.expand(
            str(data), tmp_path / name, "gif-mae", prior="nano", guide="nano", copies=2, progress=False, **knobs
        )
        return sorted(run.table().to_pylist(), key=lambda row: row["file_name"])

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first = rows("one", shard=5)
        torch.set_num_threads(1)
        second = rows("two", shard=12)
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(first, second, strict=True):
        names = [name for name, value in one.items() if name.startswith("score_") and value is not None]
        assert {n: v for n, v in one.items() if n not in names} == {n: v for n, v in other.items() if n not in names}
        assert [other[n] for n in names] == pytest.approx([one[n] for n in names], abs=1.01e-4, rel=0)
    scores = [row["score_informativeness_after"] for row in first if row["method"]]
    assert len(set(scores)) > 12


@pytest.mark.parametrize(
    ("score", "kept"), [(0.68415111, 0.6842), (0.68415117, 0.6842), (-1234.56789, -1234.57), (1e-9, 0.0), (7e9, 7e9)]
)
def test_what_is_kept_of_a_score(score: float, kept: float) -> None:
    assert steady(score) == kept


def test_a_score_that_is_no_number_stays_one() -> None:
    assert np.isnan(steady(float("nan")))
    assert steady(float("inf")) == float("inf")
