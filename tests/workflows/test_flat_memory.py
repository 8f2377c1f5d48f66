"""What a command holds in memory does not grow with the run: four times the rows, the same peak."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import imaginate
from imaginate import runs
from imaginate.engine import kept_rows
from worlds import folder

SMALL, LARGE = 4, 16  # copies of each of 24 seeds
A_ROW = 400  # bytes; as a dict it takes more than a thousand


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("flat")
    data = folder(root / "data", each=8, size=12)
    for copies in (SMALL, LARGE):
        imaginate.expand(str(data), root / f"{copies}", "duplicate", copies=copies, progress=False)
    return {copies: root / f"{copies}" for copies in (SMALL, LARGE)}


def export(form: str) -> Callable[[Path, Path], object]:
    return lambda run, out: imaginate.export(str(run), str(out), form, per_file=50)


COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "refilter": lambda run, out: imaginate.refilter(run, progress=False),
    "webdataset": export("webdataset"),
    "csv": export("csv"),
    "inspect": lambda run, out: str(imaginate.inspect(run)),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_four_times_the_rows_take_the_same_memory(
    two: dict[int, Path], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 40)
    monkeypatch.setattr(kept_rows, "WINDOW", 40)
    peaks = []
    for copies in (SMALL, SMALL, LARGE):  # the first one imports what it needs
        run = two[copies]
        tracemalloc.start()
        COMMANDS[name](run, tmp_path / "out")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert peaks[2] - peaks[1] < A_ROW * 24 * (LARGE - SMALL)
