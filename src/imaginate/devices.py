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
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return name


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
