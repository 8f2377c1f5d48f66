"""A run goes to a hub on the loopback address, with its card, through the hub's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imaginate
from imaginate.cli import main
from support.hub import Hub
from worlds import folder

pytestmark = pytest.mark.integration


def pushed(run: Path, out: Path, url: str, token: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, since the hub's library reads its address once."""
    place = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    more = {"HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(out) + "-home"}
    words = ["export", str(run), str(out), "--format", "parquet", "--push", "ada/flowers", "--private"]
    command = [sys.executable, "-m", "imaginate", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**place, **more}, check=False)


def test_the_export_and_its_card_are_uploaded_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    data = folder(tmp_path / "data", each=2)
    imaginate.expand(str(data), tmp_path / "run", "cutout", copies=1, progress=False)
    with Hub({}) as hub:
        refused = pushed(tmp_path / "run", tmp_path / "a", hub.url, "hf_wrong")
        done = pushed(tmp_path / "run", tmp_path / "b", hub.url, "hf_right")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "ada/flowers was not pushed" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/datasets/ada/flowers" in done.stdout
    (created,) = hub.created
    assert (created["name"], created["type"], created.get("private", created.get("visibility"))) == (
        "flowers",
        "dataset",
        "private",
    )
    assert set(hub.uploaded) == {"README.md", "croissant.json", "train-00000-of-00001.parquet"}
    card = hub.uploaded["README.md"].decode()
    assert "task_categories" in card
    assert "metadata.parquet\n    - images" not in card
    (tmp_path / "train.parquet").write_bytes(hub.uploaded["train-00000-of-00001.parquet"])
    assert len(imaginate.open_dataset(str(tmp_path / "train.parquet"))) == 12


def test_a_name_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path), str(tmp_path / "out"), "--push", "flowers"]) != 0
    assert "push must name ORG/NAME" in capsys.readouterr().err
    assert main(["plan", "ada/flowers", "--method", "cutout"]) != 0
    assert "hf://datasets/ada/flowers" in capsys.readouterr().err
