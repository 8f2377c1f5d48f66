"""`imaginate report`: a real run, its pictures from the dataset, and bad input in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imaginate import expand
from imaginate.cli import main
from worlds import folder


def test_a_real_run_with_seeds_that_it_does_not_hold(tmp_path: Path, capsys: Any) -> None:
    data = folder(tmp_path / "data")
    expand(str(data), str(tmp_path / "run"), method="cutout", copies=2, originals="none", progress=False)
    assert main(["report", str(tmp_path / "run"), "--format", "html,csv", "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in ("report.html", "report.csv")]
    page = (tmp_path / "out/report.html").read_text()
    assert page.count('class="cell seed"><img') == 8, "seeds are read from the dataset"
    assert "24 new images and 0 originals, made by <code>cutout</code>" in page

    (tmp_path / "data").rename(tmp_path / "moved")
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run/report.html").read_text()
    assert page.count('class="cell seed"><img') == 0
    assert "not stored in the run" in page


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "no such folder: nowhere"),
        (["."], "is neither a study"),
        (["a", "b"], "a report over 2 folders needs --out FOLDER"),
        (["a", "b", "--out", "c"], "html reports on one study at a time"),
        ([".", "--format", "pdf"], "unknown report format 'pdf'"),
        ([".", "--format", ","], "format must name at least one of"),
        ([".", "--hourly-price", "-1"], "hourly price must be in [0, inf), got -1"),
        ([".", "--hourly-price", "inf"], "hourly price must be in [0, inf), got inf"),
        ([".", "--seeds", "0"], "seeds must be >= 1, got 0"),
    ],
)
def test_bad_input_is_one_line(args: list[str], message: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *args]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
