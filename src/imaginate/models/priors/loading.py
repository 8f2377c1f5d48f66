"""What all priors share when they are read: where the checkpoint lies, its precision, and one-line errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from imaginate.errors import ConfigError, ModelError

T = TypeVar("T")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def locate(spec: str, nano_name: str) -> str:
    """`nano` -> the bundled folder; a folder or hub id as it is. ModelError for a path that does not exist."""
    if spec == "nano":
        from imaginate import nano

        return str(nano.path(nano_name))
    looks_like_path = spec.startswith((".", "/", "~")) or spec.count("/") > 1
    if looks_like_path and not Path(spec).expanduser().is_dir():
        raise ModelError(f"prior folder not found: {spec}")
    return str(Path(spec).expanduser()) if looks_like_path else spec


def precision(dtype: str | None, device: str) -> torch.dtype:
    """The working precision by name; None is float32 on a CPU, bfloat16 (or float16) on a GPU."""
    if dtype is None:
        if not device.startswith("cuda"):
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    return DTYPES[dtype]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, notices or deprecation warnings of the model libraries while a checkpoint is read."""
    from diffusers.utils import logging as ours
    from transformers.utils import logging as theirs

    levels = ours.get_verbosity(), theirs.get_verbosity()
    bars = ours.is_progress_bar_enabled(), theirs.is_progress_bar_enabled()
    for library in (ours, theirs):
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, level, bar in zip((ours, theirs), levels, bars, strict=True):
            library.set_verbosity(level)
            if bar:
                library.enable_progress_bar()


def dtype_argument(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """How this diffusers wants the precision named in `from_pretrained`."""
    import diffusers

    recent = tuple(int(part) for part in diffusers.__version__.split(".")[:2]) >= (0, 42)
    return {"dtype" if recent else "torch_dtype": dtype}


def read(load: Callable[[], T], spec: str, what: str) -> T:
    """Run a `from_pretrained`; whatever it finds wrong with the files becomes one ModelError line."""
    try:
        with quiet():
            return load()
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError, ImportError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"cannot load {what} from {spec}: {first}") from error


def freeze(module: Any) -> Any:
    """Evaluation mode, no gradients to the weights."""
    if isinstance(module, nn.Module):
        module.eval()
        module.requires_grad_(False)
    return module


def normaliser(
    config: Any, default_mean: tuple[float, ...], default_std: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of an image processor (or None), as (1, 3, 1, 1) tensors."""
    mean = getattr(config, "image_mean", None) or default_mean
    std = getattr(config, "image_std", None) or default_std
    return torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)
