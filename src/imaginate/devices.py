"""Where networks compute, and what a result was computed with: every command says both the same way."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from typing import Any

from imaginate.errors import ConfigError

_WORDS = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_device(name: str) -> None:
    """ConfigError unless the word names a device; whether this machine has it is not asked (and torch not imported)."""
    if not _WORDS.fullmatch(name):
        raise ConfigError(f"device {name!r} cannot be used: it must be auto, cpu, cuda, cuda:N or mps")


def pick_device(name: str = "auto") -> str:
    """A device that this machine has; `auto` is CUDA, then Apple's MPS, then the CPU, whichever is there first.

    Raises ConfigError, in torch's own words, for one that cannot be used.
    """
    check_device(name)
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # the same sums for any number of threads; read at the first one
    import torch

    if name == "auto" and torch.cuda.is_available():
        return "cuda"
    if name == "auto" and torch.backends.mps.is_available():
        return "mps"
    if name in ("auto", "cpu"):
        keep_memory()
        return "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return name


def refuse_missing(name: str) -> None:
    """ConfigError, before anything is read, for a device that this machine does not have. PyTorch, which takes seconds
    and half a gigabyte, is loaded for a named accelerator alone."""
    if name in ("auto", "cpu"):
        return
    pick_device(name)


def keep_memory() -> bool:
    """Let this process keep what it frees, for the next batch. Returns whether it does.

    glibc gives large blocks back to the system at once, so a network on a CPU gets every activation as fresh pages,
    which the kernel clears: a third of the time of an EfficientNet. Nothing is done where the user has set malloc's
    own variables, or on systems without glibc.
    """
    import ctypes

    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    most_mapped, trim_above = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(most_mapped, 0)) and bool(mallopt(trim_above, 2**31 - 1))


PACKAGES = (
    "imaginate", "torch", "torchvision", "transformers", "diffusers", "timm", "numpy", "pillow", "pyarrow", "ray",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Python, and those of `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The size of the machine: cores and accelerator."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"platform": sys.platform, "cores": os.cpu_count(), "gpu": gpu}


def gpu_of_worker(device: str, place: int) -> str | None:
    """The GPU that worker `place` of several processes is shown, as CUDA_VISIBLE_DEVICES names it; None where `device`
    is none. Worker 0 has the one that `device` names, the others follow, and they share where there are fewer."""
    if device != "auto" and not device.startswith("cuda"):
        return None
    import torch

    if not (count := torch.cuda.device_count()):
        return None
    number = (int(device.partition(":")[2] or 0) + place) % count
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return visible[number] if len(visible) >= count and visible[0] else str(number)


def see_gpu(gpu: str | None) -> None:
    """Show this process one GPU alone, before it first uses one."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu


def use_threads(count: int) -> None:
    """Compute on so many threads from now on."""
    import torch

    torch.set_num_threads(count)
