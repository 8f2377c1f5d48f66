"""The built wheel runs outside the checkout and carries what the package needs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.integration
def test_the_wheel_runs_outside_the_checkout(tmp_path: Path) -> None:
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import imaginate, sys\n"
        "from imaginate import nano\n"
        "from imaginate.cli import main\n"
        f"assert imaginate.__file__.startswith({str(tmp_path / 'site')!r}), imaginate.__file__\n"
        "from transformers import CLIPModel, ViTMAEForPreTraining\n"
        "CLIPModel.from_pretrained(nano.path('clip')); ViTMAEForPreTraining.from_pretrained(nano.path('mae'))\n"
        "from diffusers import StableDiffusionPipeline, StableUnCLIPImg2ImgPipeline\n"
        "StableDiffusionPipeline.from_pretrained(nano.path('sd'))\n"
        "StableUnCLIPImg2ImgPipeline.from_pretrained(nano.path('unclip'))\n"
        "sys.exit(main(['methods']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "gif-sd" in done.stdout
