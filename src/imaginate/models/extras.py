"""What is not installed is said before any work begins, with the words that install it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from imaginate.errors import ConfigError

# A role -> the libraries that it is read by, and the extra that brings them.
LIBRARIES = {
    "guide": (("transformers", "timm", "safetensors"), "guides"),
    "prior:mae": (("transformers", "safetensors"), "guides"),
    "prior": (("diffusers", "transformers", "accelerate", "peft"), "diffusion"),
    "adaptation": (("peft", "safetensors"), "diffusion"),
    "pool": (("lancedb",), "pool"),
}


def check_installed(who: str, needs: Iterable[str]) -> None:
    """ConfigError, in one line, for a role whose libraries are not there."""
    for need in needs:
        libraries, extra = LIBRARIES.get(need) or LIBRARIES.get(need.partition(":")[0], ((), ""))
        missing = [name for name in libraries if find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"{who} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
                f"pip install 'imaginate[{extra}]'"
            )
