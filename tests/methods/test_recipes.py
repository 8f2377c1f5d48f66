"""Every recipe in examples/ does what its comment says, with the bundled models in place of the published ones."""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from imaginate.cli import main
from imaginate.models.adaptations.folder import read_manifest
from imaginate.runs import RunFolder
from worlds import folder

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
FILES = sorted(RECIPES.glob("*.yaml"))
MEDMNIST = {"breastmnist": 2, "pathmnist": 9, "organsmnist": 11}
SMALL = {
    "fit": "--prior nano --max-steps 2 --sheet-every 0 --batch 2 --quiet",
    "expand": "--prior nano --guide nano --steps 10 --judge none --quiet",
}
CHOICE = "--select-per-class 1 --select-updates 1 --select-arch small --select-size 32"


def commands(file: Path) -> dict[str, list[str]]:
    """`fit`, `pool` and `expand` of a recipe's comment -> their words behind the command's name."""
    text = "\n".join(line.removeprefix("#") for line in file.read_text().splitlines() if line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    found = [shlex.split(line) for line in lines if line.strip().startswith("imaginate ")]
    return {words[1]: words[2:] for words in found}


def without(words: list[str], *flags: str) -> list[str]:
    """Words without these flags and their values."""
    gone = {i + step for i, word in enumerate(words) if word in flags for step in (0, 1)}
    return [word for i, word in enumerate(words) if i not in gone]


def dataset(name: str, place: Path) -> Path:
    """A small set of the recipe's kind, three images a class."""
    if name not in MEDMNIST:
        facts = "{hypernym: animal, definition: a small animal}"
        (place / "data").mkdir()
        (place / "data/classes.yaml").write_text("".join(f"{name}: {facts}\n" for name in ("ant", "bee", "cow")))
        return folder(place / "data", each=3)
    classes, draw = MEDMNIST[name], np.random.default_rng(0)
    path = place / f"{name}.npz"
    with zipfile.ZipFile(path, "w") as file:
        for split in ("train", "val", "test"):
            size = (3 * classes, 28, 28) if name != "pathmnist" else (3 * classes, 28, 28, 3)
            labels = np.arange(3 * classes, dtype=np.uint8)[:, None] % classes
            for part, array in (("images", draw.integers(0, 256, size, np.uint8)), ("labels", labels)):
                out = io.BytesIO()
                np.save(out, array)
                file.writestr(f"{split}_{part}.npy", out.getvalue())
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_names_its_own_command(file: Path) -> None:
    expand = commands(file)["expand"]
    assert expand[expand.index("--recipe") + 1] == f"examples/recipes/{file.name}"


@pytest.mark.integration
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_commands_run_and_fit_what_they_say(file: Path, tmp_path: Path) -> None:
    data, said = str(dataset(file.stem.split("-")[-1], tmp_path)), commands(file)
    rest: list[str] = []
    if "fit" in said:
        technique, _, _, *given = said["fit"]
        words = without(given, "--prior", "--max-steps", "--batch")
        if "--backbone" in words:
            words[words.index("--backbone") + 1] = "nano"
        choice = CHOICE.split() if "--select-by" in words else []
        run("fit", technique, data, str(tmp_path / "fit"), *words, *choice, *SMALL["fit"].split())
        check_settings(tmp_path / "fit", words)
        rest = ["--adaptation", str(tmp_path / "fit")]
    if "pool" in said:
        run("pool", "build", str(tmp_path / "pool"), data, "--guide", "nano", "--quiet")
        rest = ["--pool", str(tmp_path / "pool")]
    small = SMALL["expand"].split()
    keys = file.read_text()
    for flag, word in (("--steps", "steps:"), ("--guide", "guide:"), ("--prior", "prior:")):
        if f"  {word}" not in keys:
            small = without(small, flag)
    few = ["--per-class", "1"] if "per_class" in keys else ["--copies", "1"]
    run("expand", data, str(tmp_path / "run"), "--recipe", str(file), *rest, *few, *small)
    rows = RunFolder(tmp_path / "run").rows()
    assert [row for row in rows if row["method"]] or RunFolder(tmp_path / "run").rows("rejected.parquet")
    if file.stem == "gif-sd-breastmnist":
        assert {row["prompt"] for row in rows if row["method"]} <= {
            "an ultrasound image of a malignant",
            "an ultrasound image of a normal, benign",
        }


def run(*words: str) -> None:
    assert main(list(words)) == 0, words


def check_settings(place: Path, words: list[str]) -> None:
    """What adaptation.json holds is what the comment asks for."""
    manifest = read_manifest(place)
    assert manifest is not None
    kept: dict[str, Any] = {**manifest.settings["technique"], **manifest.settings["plan"]}
    assert kept["max_steps"] == 2
    for flag, value in zip(words, [*words[1:], "--end"], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        if flag.startswith("--no-"):
            assert kept[name.removeprefix("no_")] is False
        elif name in kept:
            wanted = True if value.startswith("--") else yaml.safe_load(value)
            assert kept[name] == (float(wanted) if isinstance(kept[name], float) else wanted), name
    if manifest.technique == "dreambooth":
        assert kept["learning_rate"] == 2e-6
        assert (place / "checkpoints" / manifest.checkpoints["last"] / "text_encoder" / "config.json").is_file()
        assert manifest.data["held_out"] == 0
