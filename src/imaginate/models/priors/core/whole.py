"""A pipeline of diffusers that stays whole: looked at by its index, loaded, and held by the names of its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch

from imaginate.errors import ModelError
from imaginate.models import hub
from imaginate.models.adaptations.loading import Adaptation, adapt
from imaginate.models.checkpoints import (
    check_tokenizer,
    dtype_argument,
    freeze,
    locate,
    pinned,
    precision,
    read,
    variant,
)
from imaginate.models.priors.core.pipelines import class_of
from imaginate.models.single_file import configuration_of, is_single_file, load_single_file


@runtime_checkable
class ReadsFiles(Protocol):
    """A class of pipelines that reads one file of weights."""

    def from_single_file(self, file: str, **how: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A pipeline before its weights are loaded. `index`: its parts, by library and class."""

    spec: str
    place: str
    dtype: torch.dtype
    index: Mapping[str, Any]

    def load(self, cls: Any) -> Any:
        """The pipeline, by a class of diffusers; safetensors only, without a safety checker. ModelError, in one line,
        for files that cannot be read or lack weights."""
        spare: dict[str, Any] = {"safety_checker": None} if "safety_checker" in self.index else {}
        if is_single_file(self.spec):
            return self._load_file(cls, {**dtype_argument(self.dtype), **spare})
        how = {**dtype_argument(self.dtype), **spare, **pinned(self.spec), **variant(self.spec)}
        pipe = read(lambda: cls.from_pretrained(self.place, use_safetensors=True, **how), self.spec, "a pipeline")
        check_whole(pipe, self.place, self.spec)
        return pipe

    def _load_file(self, cls: Any, how: Mapping[str, Any]) -> Any:
        """The pipeline out of one file of weights."""
        own = class_of(self.index, cls)
        if not isinstance(own, ReadsFiles):
            raise ModelError(f"{self.spec} is a {own.__name__}, which diffusers does not read from one file")
        pipe = read(lambda: load_single_file(own, self.spec, dict(how)), self.spec, "a pipeline")
        _check_tokenizers(pipe, self.spec)
        return pipe


def opened(spec: str, *, device: str, dtype: str | None) -> Opened:
    """A folder or a hub id ("nano": the bundled one) whose index was read."""
    from diffusers import DiffusionPipeline

    kind = precision(dtype, device)
    place = place_of(spec)
    index = read(lambda: DiffusionPipeline.load_config(place, **pinned(spec)), spec, "a diffusers pipeline")
    return Opened(spec=spec, place=place, dtype=kind, index=index)


def place_of(spec: str) -> str:
    """Where the index of a pipeline is: a folder or a hub id; of one file of weights, the folder that describes it."""
    if is_single_file(spec):
        return str(configuration_of(spec))
    return locate(spec, "sd", missing="prior folder not found")


class InParts(ABC):
    """A prior that leaves its networks in the pipeline."""

    pipe: Any
    name: str
    family: str
    image_size: int
    device: str
    dtype: torch.dtype
    batch: Any
    adaptation: Adaptation | None = None

    @classmethod
    @abstractmethod
    def load(cls, spec: str, *, device: str = "cpu", dtype: str | None = None) -> Self:
        """From a diffusers folder or a hub id; safetensors only."""

    def _place(self) -> None:
        """Freeze and move the parts."""
        for module in self.networks().values():
            freeze(module, self.device, self.dtype)

    def networks(self) -> dict[str, torch.nn.Module]:
        """The networks by their names in the pipeline."""
        return {part: found for part, found in self.pipe.components.items() if isinstance(found, torch.nn.Module)}

    def put_network(self, part: str, module: Any) -> None:
        """Another network in the place of one."""
        setattr(self.pipe, part, module)

    @property
    def is_adapted(self) -> bool:
        """Whether an adaptation was loaded."""
        return self.adaptation is not None

    def compile(self) -> None:
        """Compile the denoiser."""
        part = "transformer" if "transformer" in self.networks() else "unet"
        self.put_network(part, torch.compile(self.networks()[part]))

    def load_adaptation(self, path: str) -> None:
        """A LoRA, parts or words, loaded into the pipeline."""
        self.adaptation = adapt(self, path)
        self._place()


def check_whole(pipe: Any, place: str, spec: str) -> None:
    """ModelError, which names a part and a weight of it, where the files of a pipeline lack some."""
    _check_tokenizers(pipe, spec)
    folder = Path(place) if Path(place).is_dir() else hub.snapshot(spec)
    if folder is None:
        return
    for part, module in pipe.components.items():
        files = sorted((folder / part).glob("*.safetensors"))
        if not isinstance(module, torch.nn.Module) or not files:
            continue
        if missing := _missing(module, files):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ModelError(f"{spec} has no weights for {missing[0]}{more} of its {part}: fetch it whole")


def _check_tokenizers(pipe: Any, spec: str) -> None:
    """ModelError for a tokenizer without a vocabulary."""
    from transformers import PreTrainedTokenizerBase

    for part, found in pipe.components.items():
        if isinstance(found, PreTrainedTokenizerBase):
            check_tokenizer(found, spec, part)


def _missing(module: torch.nn.Module, files: list[Path]) -> list[str]:
    """The weights of a network that its files do not hold, under any name: libraries rename some as they read them."""
    from safetensors import safe_open

    held: set[str] = set()
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            held |= {name for name in opened.keys() if not name.endswith("position_ids")}  # noqa: SIM118 - no dict
    state = module.state_dict()
    there = {tensor.data_ptr() for name, tensor in state.items() if name in held}
    missing = [name for name, tensor in state.items() if name not in held and tensor.data_ptr() not in there]
    renamed = held - set(state)
    return missing if len(renamed) < len(missing) else []
