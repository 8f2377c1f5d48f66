"""What runs, pools, fits and studies note of weights from a hub, and what they say when a repository has moved on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiny
from support.hub import Hub, Repository
from worlds import folder

DO = """
import json, sys
from pathlib import Path
import imaginate
from imaginate.errors import ImaginateError
from imaginate.pool.table import PoolTable
data, out = sys.argv[1:3]
run, pool, fit, study = (f"{out}/{name}" for name in ("run", "pool", "fit", "study"))
def made_run():
    imaginate.expand(data, run, "sd", prior="lab/sd", guide="clip:lab/clip", copies=1, judge="none", steps=1,
                     strength=1.0, adaptation="lab/lora", filters=[{"name": "consistency"}], progress=False)
    facts = json.loads(Path(run, "run.json").read_text())
    Path(run, "run.json").write_text(json.dumps({**facts, "finished": False}))
    return facts["weights"]
def made_pool():
    imaginate.build_pool(pool, data, guide="clip:lab/clip", progress=False)
    return {"guide": PoolTable.open(pool).header.weights}
def made_fit():
    return {"prior": imaginate.fit("ft-conditioning", data, fit, prior="lab/sd", progress=False,
                                   settings={"epochs": 1}, plan={"sheet_steps": 1}).weights}
def made_study():
    return imaginate.compare(data, ["original"], None, study, arch="probe:lab/clip", folds=2, seeds=1, controls=False,
                             progress=False)["weights"]
found = {}
for make in (made_run, made_pool, made_fit, made_study):
    try:
        found[make.__name__[5:]] = make()
    except ImaginateError as error:
        found[make.__name__[5:]] = str(error)
print(json.dumps(found))
"""


def tiny_lora(folder: Path) -> Path:
    """An update of one layer of `tiny_sd`'s UNet, as diffusers' training scripts write it."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    name = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    rows = {f"{name}.lora_A.weight": torch.ones(2, 16), f"{name}.lora_B.weight": torch.ones(16, 2)}
    save_file(rows, str(folder / "pytorch_lora_weights.safetensors"))
    return folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What four commands say at first, and once each repository has another commit with other weights."""
    root = tmp_path_factory.mktemp("hub-runs")
    place = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    data = folder(root / "data", ("ant", "bee"), each=4)
    made = {"clip": tiny.tiny_clip(root / "clip"), "sd": tiny.tiny_sd(root / "sd"), "lora": tiny_lora(root / "lora")}
    repositories = {f"lab/{name}": Repository(path, {"main": "a" * 40}) for name, path in made.items()}
    with Hub(repositories) as hub:
        more = {"HF_HOME": str(root / "cache"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}

        def said() -> dict[str, Any]:
            asked = [sys.executable, "-W", "ignore", "-c", DO, str(data), str(root / "out")]
            done = subprocess.run(asked, capture_output=True, text=True, env={**place, **more}, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
            return dict(json.loads(done.stdout.splitlines()[-1]))

        first = said()
        for name, repository in repositories.items():
            moved = Path(shutil.copytree(repository.folder, root / f"{name.removeprefix('lab/')}-moved"))
            for file in moved.rglob("*.safetensors"):
                content = bytearray(file.read_bytes())
                content[-2] ^= 1
                file.write_bytes(content)
            repositories[name].folder, repositories[name].revisions["main"] = moved, "b" * 40
        return first, said()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "roles"),
    [("run", {"prior", "guide", "adaptation"}), ("pool", {"guide"}), ("fit", {"prior"}), ("study", {"probe:lab/clip"})],
)
def test_commit_and_hash_are_noted_and_a_moved_repository_is_refused(
    command: str, roles: set[str], answers: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    noted, moved = answers[0][command], answers[1][command]
    assert set(noted) == roles
    for one in noted.values():
        assert one["commit"] == "a" * 40
        assert len(one["hash"]) > 8
    assert isinstance(moved, str), moved
    assert "\n" not in moved
    assert f"has other weights: commit {'b' * 12}, was {'a' * 12}" in moved
    assert f"@{'a' * 40} is the old one" in moved
