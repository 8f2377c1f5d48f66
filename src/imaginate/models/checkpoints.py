"""Loads transformers checkpoints, hub id or local folder; one that does not load gets one line that says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from imaginate.errors import ModelError

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")


def where(spec: str) -> str:
    """A local folder as an absolute path, checked; anything else is taken as a hub id."""
    folder = Path(spec).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{spec} is not a checkpoint folder: it has no config.json")
        if not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
            raise ModelError(f"{spec} is not a checkpoint folder: it has no model.safetensors")
        return str(folder.resolve())
    if folder.is_file():
        raise ModelError(f"{spec} is a file; a checkpoint is a folder made by save_pretrained, or a hub id")
    if spec.startswith(("/", ".", "~")) or spec.count("/") > 1:
        raise ModelError(f"no such checkpoint folder: {spec}")
    return spec


def config(spec: str) -> Any:
    """The checkpoint's configuration (transformers PretrainedConfig)."""
    from transformers import AutoConfig

    return _load(AutoConfig, spec)


def model(spec: str, cls: Any = None, *, device: str = "cpu", dtype: torch.dtype | None = None) -> Any:
    """The checkpoint's network in evaluation mode, frozen. Safetensors, or pickles read with weights_only."""
    from transformers import AutoModel

    with quiet():
        network = _load(cls or AutoModel, spec, weights_only=True)
    network = network.to(device=device, dtype=dtype or default_dtype(device)).eval()
    return network.requires_grad_(False)


def processor_config(spec: str) -> dict[str, Any]:
    """The checkpoint's image preprocessing as plain values."""
    from transformers import AutoImageProcessor

    with quiet():
        return dict(_load(AutoImageProcessor, spec).to_dict())


def tokenizer(spec: str) -> Any:
    """The checkpoint's text tokenizer."""
    from transformers import AutoTokenizer

    with quiet():
        return _load(AutoTokenizer, spec)


def default_dtype(device: str) -> torch.dtype:
    """Half precision where the hardware computes in it (CLIP was trained so), else float32."""
    return torch.float16 if device.startswith("cuda") else torch.float32


@contextmanager
def quiet() -> Iterator[None]:
    """No weight-loading progress bars: ours are the only ones on a user's screen."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load(cls: Any, spec: str, **options: Any) -> Any:
    place = where(spec)
    try:
        return cls.from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if Path(place).is_dir():
            raise ModelError(f"cannot load {spec}: {reason}") from error
        raise ModelError(
            f"cannot fetch {spec!r} from the model hub; give a local folder made by save_pretrained instead ({reason})"
        ) from error
