"""Where networks compute: one word, checked the same way by every command."""

from __future__ import annotations

import re

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
