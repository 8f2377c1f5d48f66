"""Curves in the tools' own formats, off-line; and nothing where no tool is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imaginate import tracking
from imaginate.cli import main
from imaginate.errors import ConfigError
from worlds import folder


def curves(root: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of TensorBoard's event files below a folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(root / "tensorboard"))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_reads_what_was_logged_in_between_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tracking.log({"before": 1.0}, 0)
    with tracking.tracking("tensorboard", str(tmp_path), "flowers", {"arch": "scratch", "seed": None}):
        for step in range(3):
            tracking.log({"loss": 1 / (step + 1), "validation": None}, step)
    tracking.log({"after": 1.0}, 9)
    found = curves(tmp_path)
    assert list(found) == ["loss"]
    assert [step for step, _ in found["loss"]] == [0, 1, 2]
    assert [value for _, value in found["loss"]] == pytest.approx([1, 1 / 2, 1 / 3])


def test_without_a_tool_or_a_value_nothing_is_written(tmp_path: Path) -> None:
    for word in (None, "tensorboard"):
        with tracking.tracking(word, str(tmp_path / "nothing"), "flowers", {}):
            pass
    tracking.log({"loss": 1.0}, 0)
    assert not (tmp_path / "nothing").exists()


def test_an_unknown_or_missing_tool_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="log must be one of tensorboard, wandb, mlflow, got 'comet'"):
        tracking.check("comet")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs mlflow, which is not installed: pip install mlflow-skinny"):
        tracking.check("mlflow")


@pytest.mark.filterwarnings("ignore")  # of its own libraries
def test_mlflow_keeps_a_run_in_a_local_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("mlflow", reason="needs mlflow, which is not in the lock")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    with tracking.tracking("mlflow", str(tmp_path), "flowers", {"arch": "scratch"}):
        tracking.log({"loss": 0.5}, 1)
    (run,) = client.search_runs(experiment_names=["imaginate"], output_format="list")
    assert (run.data.metrics, run.data.params["arch"]) == ({"loss": 0.5}, "scratch")


WANDB = """
import sys
from imaginate import tracking
with tracking.tracking("wandb", sys.argv[1], "flowers", {"arch": "scratch"}):
    tracking.log({"loss": 0.5}, 1)
"""


@pytest.mark.integration
def test_wandb_keeps_a_run_off_line(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    place = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", WANDB, str(tmp_path)], env=place, check=True)  # its client lasts as a process
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (file,) = run.glob("run-*.wandb")
    assert b"loss" in file.read_bytes()


@pytest.mark.integration
def test_train_and_fit_log_their_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    data = folder(tmp_path / "data", each=6)
    model = tmp_path / "model"
    train = ["train", str(data), "--out", str(model), "--arch", "small", "--updates", "12", "--quiet"]
    assert main([*train, "--log", "tensorboard"]) == 0
    found = curves(model)
    assert found["loss"][-1][0] == 12
    assert {"loss", "lr", "validation"} <= set(found)
    words = tmp_path / "words"
    fit = ["fit", "textual-inversion", str(data), str(words), "--max-steps", "2", "--epochs", "1", "--quiet"]
    assert main([*fit, "--log", "tensorboard"]) == 0
    assert "train_loss" in curves(words)
