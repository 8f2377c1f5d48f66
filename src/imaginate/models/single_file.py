"""A pipeline in one file of weights, as model exchanges hand it out: which pipeline it is, and its configuration.

The file holds weights alone. What the parts are (model_index.json, their config.json, the tokenizers) is taken from a
folder next to it that has its name (`dream.safetensors` and `dream/`), from the folder that it is in, or from the
repository that diffusers names for this kind of file, out of the hub's cache where there is no network. Parts that the
file lacks (files of FLUX.1 often hold the denoiser alone) are taken from the same place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from imaginate.errors import ModelError
from imaginate.models import hub
from imaginate.models.checkpoints import pipeline_index, quiet, read

WHOLE = ("model.diffusion_model.", "first_stage_model.")  # every file of a whole pipeline has weights named so
# Those of a denoiser alone: FLUX.1 and SD3 as published, and what diffusers writes.
DENOISER = ("double_blocks.", "joint_blocks.", "input_blocks.", "transformer_blocks.", "down_blocks.")
DENOISERS = ("unet", "transformer")
T5 = ("text_encoders.t5xxl.",)
NAMES = {  # of the other parts in such a file
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": ("cond_stage_model.", "conditioner.embedders.0.", "text_encoders.clip_l."),
    "text_encoder_2": ("conditioner.embedders.1.", "text_encoders.clip_g."),
}
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
    parts = _other_parts(spec, file, folder, how)
    try:
        pipe = cls.from_single_file(str(file), config=str(folder), local_files_only=True, **parts, **how)
    except SingleFileComponentError as error:
        raise ModelError(f"{spec} does not hold all parts of a {cls.__name__}: {str(error).splitlines()[0]}") from error
    except NotImplementedError as error:  # weights that are not there have no memory either
        raise ModelError(f"{spec} has no weights for a piece of one of its parts: fetch it whole") from error
    for part, module in pipe.components.items():
        if isinstance(module, nn.Module) and (missing := [n for n, p in module.named_parameters() if p.is_meta]):
            raise ModelError(f"{spec} has no weights for {missing[0]} of its {part}: fetch it whole")
    return pipe


def _other_parts(spec: str, file: Path, folder: Path, how: Mapping[str, Any]) -> dict[str, Any]:
    """The networks that the file lacks, out of the folder of its configuration; None for what the index leaves out.
    ModelError for one that is not there."""
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        held = list(opened.keys())
    found: dict[str, Any] = {}
    index = pipeline_index(str(folder)) or {}
    for part, entry in index.items():
        if not isinstance(entry, (list, tuple)) or part in how or part in DENOISERS:
            continue
        if entry[1] is None:
            found |= {part: None} if part.startswith(("text_encoder", "tokenizer")) else {}
        elif (part in NAMES or part.startswith("text_encoder")) and not _holds(held, part, str(entry[1])):
            _check_there(spec, folder, part, index)
            found[part] = _from_folder(folder / part, entry, how)
    return found


def _holds(held: Collection[str], part: str, kind: str) -> bool:
    """Whether a file has weights of a part."""
    fronts = T5 if kind.startswith("T5") else NAMES.get(part, ())
    return any(name.startswith(fronts) for name in held)


def _check_there(spec: str, folder: Path, part: str, index: Mapping[str, Any]) -> None:
    """ModelError where a folder has no weights of a part; out of the hub's cache, they are fetched first."""
    place = folder / part
    if not any(place.glob("*.safetensors")) and folder.parent.name == "snapshots":
        _fetch(folder, part)
    if any(place.glob("*.safetensors")):
        return
    without = " (or write [null, null] for it in model_index.json)" if part == "text_encoder_3" else ""
    raise ModelError(
        f"{spec} does not hold all parts of a {index['_class_name']}: it lacks the {part}, {index[part][1]}; put that "
        f"folder, with its weights in safetensors, at {place}{without}"
    )


def _from_folder(place: Path, entry: Sequence[str], how: Mapping[str, Any]) -> Any:
    """One network of a pipeline's folder."""
    import importlib

    library, kind = entry
    cls = getattr(importlib.import_module(library), kind)
    taken = {name: value for name, value in how.items() if name.endswith("dtype")}
    return read(lambda: cls.from_pretrained(str(place), use_safetensors=True, **taken), str(place), f"a {place.name}")


def _fetch(folder: Path, part: str) -> None:
    """The weights of a part, into the folder of the cache that has the configuration."""
    from huggingface_hub import snapshot_download

    name = folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    wanted = f"{part}/*.safetensors*"
    read(lambda: snapshot_download(name, revision=folder.name, allow_patterns=[wanted]), name, f"a {part}")


def _repository(spec: str, file: Path) -> str:
    """The repository whose configuration fits, by the names and shapes of the weights."""
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config
    from safetensors import safe_open

    def shapes() -> dict[str, Any]:
        with safe_open(str(file), framework="pt") as opened:
            held = list(opened.keys())
            return {name: torch.empty(opened.get_slice(name).get_shape(), device="meta") for name in held}

    if wrong := hub.damaged_file(file):
        raise ModelError(f"cannot load a pipeline from {spec}: {wrong}")
    found = read(shapes, spec, "a pipeline")
    if any("lora" in name for name in found):
        raise ModelError(f"{spec} is a LoRA, not a whole model: give it as --adaptation, and its base as --prior")
    if not any(name.startswith((*WHOLE, *DENOISER)) for name in found):
        held = ", ".join(sorted(found)[:2])
        raise ModelError(
            f"{spec} holds no whole model (only {held}, ...): give a file or folder that has all its parts"
        )
    with quiet():
        return str(fetch_diffusers_config(found)["pretrained_model_name_or_path"])


def _reason(error: ModelError) -> str:
    return str(error).rpartition(" (")[2].rstrip(")")
