"""What a run needs before it makes an image, it has without PyTorch: refusals come at once, and a finished run asked
again takes no networks' memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imaginate
from worlds import folder

ASK = """
import sys
from imaginate.cli import main
code = main(sys.argv[1:])
print("torch" in sys.modules, code)
"""


def _asked(*command: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", ASK, *command], capture_output=True, text=True, check=False)
    return done.stdout.split()[-2:]


def test_a_finished_run_and_a_refusal_load_no_pytorch(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", each=3)
    imaginate.expand(data, tmp_path / "run", "cutout", copies=1, progress=False)
    command = ("expand", str(data), str(tmp_path / "run"), "--method", "cutout", "--quiet")
    assert _asked(*command, "--copies", "1") == ["False", "0"]
    assert _asked("expand", str(tmp_path / "gone"), str(tmp_path / "new"), "--method", "cutout") == ["False", "2"]
    assert _asked(*command, "--copies", "1", "--device", "gpu") == ["False", "2"]
    assert _asked("expand", str(data), str(tmp_path / "new"), "--method", "cutout", "--quiet") == ["True", "0"]
