"""One check of the device for every command: a word that is none, and a device that this machine lacks."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest
import torch

from imaginate import devices
from imaginate.cli import main
from imaginate.devices import check_device, gpu_of_worker, pick_device
from imaginate.errors import ConfigError
from worlds import folder


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_every_documented_word_is_one(name: str) -> None:
    check_device(name)


@pytest.mark.parametrize("name", ["foo", "cuda:", "cuda:x", "gpu", "", "cpu "])
def test_another_word_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used: it must be auto, cpu, cuda, cuda:N or mps"):
        pick_device(name)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == "cuda"


ABSENT = "cuda:99" if torch.cuda.is_available() else "cuda"


def commands(tmp: Path) -> dict[str, list[str]]:
    data, out = str(folder(tmp / "data", each=2)), str(tmp / "out")
    return {
        "augmentation": ["expand", data, out, "--method", "cutout", "--quiet"],
        "imagination": ["expand", data, out, "--method", "gif-mae", "--guide", "nano", "--prior", "nano", "--quiet"],
        "plan": ["plan", data, "--method", "cutout"],
        "guide": ["guide", "--guide", "nano", data],
        "fit": ["fit", "textual-inversion", data, out, "--prior", "nano", "--quiet"],
        "pool": ["pool", "build", out, data, "--guide", "nano", "--quiet"],
        "train": ["train", data, "--out", out],
    }


@pytest.mark.parametrize("device", ["foo", ABSENT])
@pytest.mark.parametrize("command", ["augmentation", "imagination", "plan", "guide", "fit", "pool", "train"])
def test_every_command_says_so_in_one_line(
    command: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*commands(tmp_path)[command], "--device", device]) == 2
    error = capsys.readouterr().err
    assert f"device {device!r} cannot be used" in error
    assert error.count("\n") == 1, error


def test_memory_is_kept_where_malloc_is_glibcs_and_nobody_has_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    is_glibc = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    assert devices.keep_memory() == is_glibc
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not devices.keep_memory()


def test_each_worker_sees_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller keeps the one that it names; the others go round."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [gpu_of_worker("cuda:1", place) for place in range(4)] == ["1", "0", "1", "0"]
    assert [gpu_of_worker("auto", place) for place in range(2)] == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    assert [gpu_of_worker("cuda", place) for place in range(2)] == ["4", "GPU-7"]
    assert gpu_of_worker("cpu", 1) is None
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpu_of_worker("auto", 1) is None


def test_sums_are_asked_to_be_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_CBWR", raising=False)
    pick_device("cpu")
    assert os.environ["MKL_CBWR"] == "AUTO,STRICT"
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    pick_device("cpu")
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"
