"""A whole pipeline in one file of weights, as model exchanges hand it out: which pipeline it is, and its configuration.

The file holds weights alone. What the parts are (model_index.json, their config.json, the tokenizers) is taken from a
folder next to it that has its name (`dream.safetensors` and `dream/`), from the folder that it is in, or from the
repository that diffusers names for this kind of file, out of the hub's cache where there is no network.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from imaginate.errors import ModelError
from imaginate.models import hub
from imaginate.models.checkpoints import quiet, read

WHOLE = ("model.diffusion_model.", "first_stage_model.")  # every file of a whole pipeline has weights named so
INDEX = "model_index.json"
CONFIGURATION = ("*.json", "*/*.json", "*/*.txt", "*/*.model")


def is_single_file(spec: str) -> bool:
    """Whether a checkpoint is named by a file."""
    return Path(spec).expanduser().is_file()


@cache
def configuration_of(spec: str) -> Path:
    """The folder with the configuration of a file. ModelError, in one line, for a file that is no whole pipeline."""
    file = Path(spec).expanduser()
    if file.suffix != ".safetensors":
        raise ModelError(f"{spec} is pickled (or no weights at all), which is not read: give it as .safetensors")
    repository = _repository(spec, file)
    for folder in (file.with_suffix(""), file.parent):
        if (folder / INDEX).is_file():
            return folder
    from huggingface_hub import snapshot_download

    try:
        wanted = list(CONFIGURATION)
        return Path(read(lambda: snapshot_download(repository, allow_patterns=wanted), repository, "a configuration"))
    except ModelError as error:
        raise ModelError(
            f"{spec} holds weights alone; its configuration is that of {repository}, which cannot be had: put the json "
            f"and tokenizer files of that repository into {file.with_suffix('').name}/ next to it ({_reason(error)})"
        ) from error


def load_single_file(cls: Any, spec: str, how: dict[str, Any]) -> Any:
    """The pipeline, by a class of diffusers, from its file and its configuration."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    file, folder = Path(spec).expanduser(), configuration_of(spec)
    try:
        pipe = cls.from_single_file(str(file), config=str(folder), local_files_only=True, **how)
    except SingleFileComponentError as error:
        raise ModelError(f"{spec} does not hold all parts of a {cls.__name__}: {str(error).splitlines()[0]}") from error
    except NotImplementedError as error:  # weights that are not there have no memory either
        raise ModelError(f"{spec} has no weights for a piece of one of its parts: fetch it whole") from error
    for part, module in pipe.components.items():
        if isinstance(module, nn.Module) and (missing := [n for n, p in module.named_parameters() if p.is_meta]):
            raise ModelError(f"{spec} has no weights for {missing[0]} of its {part}: fetch it whole")
    return pipe


def _repository(spec: str, file: Path) -> str:
    """The repository whose configuration fits, by the names and shapes of the weights."""
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config
    from safetensors import safe_open

    def shapes() -> dict[str, Any]:
        with safe_open(str(file), framework="pt") as opened:
            names = list(opened.keys())
            return {name: torch.empty(opened.get_slice(name).get_shape(), device="meta") for name in names}

    if wrong := hub.damaged_file(file):
        raise ModelError(f"cannot load a pipeline from {spec}: {wrong}")
    found = read(shapes, spec, "a pipeline")
    if any("lora" in name for name in found):
        raise ModelError(f"{spec} is a LoRA, not a whole model: give it as --adaptation, and its base as --prior")
    if not any(name.startswith(WHOLE) for name in found):
        held = ", ".join(sorted(found)[:2])
        raise ModelError(
            f"{spec} holds no whole model (only {held}, ...): give a file or folder that has all its parts"
        )
    with quiet():
        return str(fetch_diffusers_config(found)["pretrained_model_name_or_path"])


def _reason(error: ModelError) -> str:
    return str(error).rpartition(" (")[2].rstrip(")")
