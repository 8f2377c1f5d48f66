"""The example of a training loop of one's own runs on a run, without Lightning and by it where it is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import imaginate
from worlds import folder

SCRIPT = Path(__file__).parents[2] / "examples" / "train_with_timm_and_lightning.py"


@pytest.mark.integration
@pytest.mark.parametrize("flag", [[], ["--lightning"]])
def test_the_example_trains_on_a_run(tmp_path: Path, flag: list[str]) -> None:
    if flag and importlib.util.find_spec("lightning") is None:
        pytest.skip("needs lightning, which is not in the lock")
    data = folder(tmp_path / "data", each=8)
    imaginate.expand(str(data), tmp_path / "run", "flip-crop", copies=1, progress=False)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "run"), "--epochs", "1", "--size", "32", *flag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "seeds that were set aside" in done.stdout
