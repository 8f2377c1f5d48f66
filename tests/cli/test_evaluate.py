"""`imaginate evaluate`: what cannot work is told in one line, before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from imaginate.cli import main
from imaginate.evaluation import measure


@pytest.fixture(autouse=True)
def _no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("measuring has begun")

    monkeypatch.setattr(measure, "_measure", fail)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hourly-price", "nan"], "hourly price must be in [0, inf), got nan"),
        (["--hourly-price", "inf"], "hourly price must be in [0, inf), got inf"),
        (["--hourly-price", "-1"], "hourly price must be in [0, inf), got -1"),
        (["--device", "gpu"], "device 'gpu' cannot be used: "),
        (["--out", "FOLDER"], "out must be a file, got the folder "),
        (["--out", "FILE/x.json"], "out must be in a folder, got "),
        (["--limit", "0"], "limit must be >= 1, got 0"),
        (["--cosine", "nan"], "cosine must be in [-1, 1], got nan"),
    ],
)
def test_bad_input_is_one_line(
    flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "FILE").touch()
    assert main(["evaluate", "run", "--against", "data", *flags]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "run", "--against", "data", "--device", "cuda"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("imaginate: device 'cuda' cannot be used: ")
    assert told.count("\n") == 1


def test_no_number_that_json_lacks_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_measure", lambda *_: {"value": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        main(["evaluate", "run", "--against", "data", "--out", str(tmp_path / "made" / "found.json")])
    assert not (tmp_path / "made" / "found.json").exists()
