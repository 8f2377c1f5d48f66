"""The download path, proven on a hub on the loopback address: what is fetched, what is said where it cannot be.

A process of its own asks, since the hub's library reads its address once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tiny
from support.hub import Hub, Repository

ASK = """
import json, sys
from imaginate.errors import ModelError
from imaginate.models.guides import build_guide
from imaginate.models.priors import build_prior
from imaginate.models.weights import weights_of
from imaginate.records import LabelSpace
out = {}
for name, spec in json.loads(sys.argv[1]).items():
    try:
        if name.startswith("prior"):
            built = build_prior("stable-diffusion", spec)
        else:
            built = build_guide(f"clip:{spec}", LabelSpace.of(["a", "b"]))
        out[name] = {"weights": weights_of(spec, "sd")}
    except ModelError as error:
        out[name] = {"error": str(error)}
print(json.dumps(out))
"""


def ask(cache: Path, endpoint: str, specs: dict[str, str], **more: str) -> dict[str, Any]:
    place = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    more = {"HF_HOME": str(cache), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", **more}
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(specs)],
        capture_output=True,
        text=True,
        env={**place, **more},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("hub")
    clip, sd = tiny.tiny_clip(root / "clip"), tiny.tiny_sd(root / "sd")
    for name in ("pointer", "short", "pickles", "fp16"):
        shutil.copytree(sd if name == "fp16" else clip, root / name)
    (root / "pointer" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    whole = (root / "short" / "model.safetensors").read_bytes()
    (root / "short" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    for file in sorted((root / "fp16").rglob("*.safetensors")):
        file.rename(file.with_suffix(".fp16.safetensors"))
    shutil.copytree(sd, root / "bins")
    for file in sorted((root / "bins").rglob("*.safetensors")):
        file.rename(file.with_suffix(".bin"))
    repositories = {
        "lab/clip": Repository(clip, {"main": "a" * 40, "v1": "b" * 40}),
        "lab/gated": Repository(clip, is_gated=True),
        "lab/down": Repository(clip, is_down=True),
        "lab/cut": Repository(clip, cuts=10_000),
        "lab/pointer": Repository(root / "pointer"),
        "lab/short": Repository(root / "short"),
        "lab/fp16": Repository(root / "fp16"),
        "lab/bins": Repository(root / "bins"),
        "lab/sd": Repository(sd, {"main": "c" * 40}),
    }
    specs = {
        "main": "lab/clip", "v1": "lab/clip@v1", "commit": f"lab/clip@{'b' * 40}", "no revision": "lab/clip@v9",
        "typo": "lab/clpi", "gated": "lab/gated", "down": "lab/down", "cut": "lab/cut", "pointer": "lab/pointer",
        "short": "lab/short", "prior": "lab/sd", "prior fp16": "lab/fp16", "prior bins": "lab/bins",
    }  # fmt: skip
    offline = {"cached": "lab/clip@v1", "uncached": "lab/other"}
    with Hub(repositories) as hub, ThreadPoolExecutor() as threads:  # the hub's library waits long before it gives up
        down = threads.submit(ask, root / "other", hub.url, {"down": specs.pop("down")})
        found = ask(root / "cache", hub.url, specs)
        found["seen"] = hub.seen
        gone = [
            threads.submit(ask, root / "cache", "http://127.0.0.1:9", {f"gone {name}": spec})
            for name, spec in offline.items()
        ]
        for answered in (threads.submit(ask, root / "cache", hub.url, offline, HF_HUB_OFFLINE="1"), down, *gone):
            found |= answered.result()
    return found


WORDS = {
    "no revision": "lab/clip has no revision 'v9'",
    "typo": "the hub has no model 'lab/clpi', or it is private .* did you mean 'lab/clip'",
    "gated": "lab/gated is gated: accept its conditions on its page .* `hf auth login`",
    "down": r"the hub is down \(http://127.0.0.1:\d+ answers 503\)",
    "pointer": "is a pointer of Git LFS, not the weights",
    "short": r"model.safetensors is cut short \(\d+ bytes are missing\)",
    "prior bins": "it has only pickled weights, which are not read: name a revision that has safetensors",
    "uncached": r"off line \(HF_HUB_OFFLINE is set\) and lab/other is not in its cache \(cached are lab/",
    "gone uncached": r"out of reach and lab/other is not in its cache \(cached are lab/",
}


@pytest.mark.integration
@pytest.mark.parametrize("name", WORDS)
def test_what_goes_wrong_is_one_line_that_says_what_to_do(name: str, answers: dict[str, Any]) -> None:
    import re

    line = answers[name]["error"]
    assert re.search(WORDS[name], line), line
    assert "\n" not in line
    assert len(line) < 700


@pytest.mark.integration
def test_a_revision_is_fetched_and_its_commit_is_known(answers: dict[str, Any]) -> None:
    assert answers["main"]["weights"]["commit"] == "a" * 40
    assert answers["v1"]["weights"]["commit"] == answers["commit"]["weights"]["commit"] == "b" * 40
    assert answers["v1"]["weights"]["id"] == "lab/clip@v1"
    assert len(answers["main"]["weights"]["hash"]) > 8
    assert answers["prior"]["weights"]["commit"] == "c" * 40
    assert "weights" in answers["prior fp16"]
    assert answers["cached"]["weights"]["commit"] == answers["gone cached"]["weights"]["commit"] == "b" * 40


@pytest.mark.integration
def test_a_cut_download_is_taken_up_again(answers: dict[str, Any]) -> None:
    assert "weights" in answers["cut"]
    asked = [line for line in answers["seen"] if line.startswith("GET /lab/cut") and "model.safetensors" in line]
    assert len(asked) > 1


SHOW = """
import sys
from imaginate.models import fetching
from imaginate.models.guides import build_guide
from imaginate.progress import bar
from imaginate.records import LabelSpace
fetching.LEAST, fetching.MEGA, fetching.EVERY = 1e4, 1e3, 0.02
if sys.argv[1] == "within":
    with bar("working", 4):
        build_guide("clip:lab/slow", LabelSpace.of(["a", "b"]))
else:
    build_guide("clip:lab/slow", LabelSpace.of(["a", "b"]))
"""


@pytest.mark.parametrize("where", [pytest.param("alone", marks=pytest.mark.integration), "within"])
def test_a_download_shows_its_size_and_its_speed(tmp_path: Path, where: str) -> None:
    clip = tiny.tiny_clip(tmp_path / "clip")
    place = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    place |= {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", "COLUMNS": "120", "FORCE_COLOR": "1"}
    with Hub({"lab/slow": Repository(clip, rate=1e5)}) as hub:
        command = [sys.executable, "-c", SHOW, where]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**place, "HF_ENDPOINT": hub.url}, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stderr)
    steps = re.findall(r"fetching lab/slow \S+ +(\d+)/(\d+) +(-|[\d,.]+) MB/s", shown)
    assert len({come for come, _, _ in steps}) >= 2, "it moves"
    size = (clip / "model.safetensors").stat().st_size / 1000
    assert int(steps[-1][1]) >= int(size), "the whole of the largest file is known while it comes"
    assert any(speed not in ("-", "0.0") for _, _, speed in steps)
    assert ("working" in shown) == (where == "within")
