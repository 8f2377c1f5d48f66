"""THE reader of checkpoints, for guides and priors alike: where one is, in which precision it computes, and one line
that says why it cannot be used."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from imaginate.errors import ConfigError, ModelError
from imaginate.models import hub
from imaginate.models.fetching import fetching

T = TypeVar("T")
Module = TypeVar("Module", bound=nn.Module)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")
LIBRARIES = ("transformers", "diffusers")
PROCESSORS = ("preprocessor_config.json", "processor_config.json", "image_processor_config.json")
_LOADING = threading.RLock()


def locate(spec: str, nano_name: str, *, missing: str = "no such checkpoint folder") -> str:
    """`nano` -> the bundled folder of this name; a folder -> its path; anything else is taken as a hub id.

    ModelError, with the words of `missing`, for a path that does not exist, and for a file.
    """
    if spec == "nano":
        from imaginate import nano

        return str(nano.path(nano_name))
    place, name = Path(spec).expanduser(), hub.split_revision(spec)[0]
    is_path = spec.startswith((".", "/", "~")) or name.count("/") > 1
    if place.is_file():
        raise ModelError(f"{spec} is a file; a checkpoint is a folder made by save_pretrained, or a hub id")
    if place.is_dir():
        return str(place) if is_path else str(place.resolve())
    if is_path:
        raise ModelError(f"{missing}: {spec}")
    return name


def pinned(spec: str) -> dict[str, str]:
    """The revision of `ID@revision`, as `from_pretrained` takes it; nothing for a folder, or where none is named."""
    revision = hub.split_revision(spec)[1]
    return {"revision": revision} if revision else {}


def variant(spec: str) -> dict[str, str]:
    """The variant of a pipeline's weights that has to be named, as `from_pretrained` takes it: `fp16` where all are of
    it."""
    place = Path(locate(spec, "sd"))
    found = hub.variant_of(sorted(p.name for p in place.rglob("*")) if place.is_dir() else hub.files_of(spec))
    return {"variant": found} if found else {}


def precision(dtype: str | torch.dtype | None, device: str) -> torch.dtype:
    """The working precision; None is float32 on a CPU, and on a GPU bfloat16 where the GPU has it, else float16."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is not None:
        if dtype not in DTYPES:
            raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        return DTYPES[dtype]
    if not device.startswith("cuda"):
        return torch.float32
    major, _ = torch.cuda.get_device_capability(device)  # what torch emulates before Ampere (8.0) is slow
    return torch.bfloat16 if torch.version.hip or major >= 8 else torch.float16


@contextmanager
def _without_hub_bars() -> Iterator[None]:
    """A download is shown by `fetching`, not by the hub's own bars, of which there is one a file."""
    if "huggingface_hub" not in sys.modules:
        yield
        return
    utils = importlib.import_module("huggingface_hub.utils")
    had_bars = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if had_bars:
            utils.enable_progress_bars()


@contextmanager
def quiet() -> Iterator[None]:
    """No notices, warnings or bars of the model libraries while a checkpoint is read."""
    libraries = [importlib.import_module(f"{name}.utils.logging") for name in LIBRARIES if name in sys.modules]
    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings(), _without_hub_bars():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, level, had_bar in before:
            library.set_verbosity(level)
            if had_bar:
                library.enable_progress_bar()


def read(load: Callable[[], T], spec: str, what: str) -> T:
    """Run a `from_pretrained`; whatever it finds wrong with the files becomes one ModelError line.

    One at a time: the loaders set torch's default type for all threads, and two at once may leave it at half precision.
    """
    try:
        with _LOADING, quiet(), fetching(spec):
            return load()
    except _unread() as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if hub.is_local(spec):
            place = Path(spec).expanduser()
            reason = (hub.damaged(place) if place.is_dir() else None) or reason
            raise ModelError(f"cannot load {what} from {spec}: {reason}") from error
        there = hub.snapshot(spec)
        reason = (hub.damaged(there) if there is not None else None) or hub.explain(error, spec) or reason
        raise ModelError(
            f"cannot fetch {spec!r} from the model hub; give a local folder made by save_pretrained instead ({reason})"
        ) from error


def _unread() -> tuple[type[Exception], ...]:
    """What is raised for files that are missing, damaged, or something else."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    usual = (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError, ImportError)
    return *usual, SafetensorError, UnpicklingError, EOFError


def freeze(module: Module, device: str, dtype: torch.dtype) -> Module:
    """In place: evaluation mode, no gradients to the weights, on a device, in a precision."""
    with quiet():
        return module.to(device, dtype).eval().requires_grad_(False)  # last: some parts make new weights when they move


def dtype_argument(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """How this diffusers wants the precision named in `from_pretrained`."""
    import diffusers

    recent = tuple(int(part) for part in diffusers.__version__.split(".")[:2]) >= (0, 42)
    return {"dtype" if recent else "torch_dtype": dtype}


def config(spec: str) -> Any:
    """The configuration of a transformers checkpoint."""
    from transformers import AutoConfig

    return _from_transformers(AutoConfig, spec, "a configuration")


def pipeline_index(spec: str) -> dict[str, Any] | None:
    """What a diffusers pipeline consists of: part -> library and class; None for a checkpoint of one network."""
    from diffusers import DiffusionPipeline

    place = locate(spec, "sd")
    if Path(place).is_dir() and not (Path(place) / "model_index.json").is_file():
        return None
    try:
        return dict(read(lambda: DiffusionPipeline.load_config(place, **pinned(spec)), spec, "a diffusers pipeline"))
    except ModelError:
        if Path(place).is_dir():
            raise
        return None  # the hub has none under this id, or is out of reach, which the next to read it will say


def model(spec: str, cls: Any = None, *, device: str = "cpu", dtype: torch.dtype | None = None, part: str = "") -> Any:
    """The network of a transformers checkpoint, or of a `part` of a pipeline, frozen. Safetensors, or pickles read with
    weights_only.

    ModelError where a part of it has no weights there: it would be drawn anew each time.
    """
    network, missing = model_and_missing(spec, cls, part)
    if missing:
        raise ModelError(
            f"{spec} has no weights for {missing[0]}{_and_more(missing)}: it is another kind of checkpoint"
        )
    return freeze(network, device, precision(dtype, device))


def model_and_missing(spec: str, cls: Any = None, part: str = "") -> tuple[Any, list[str]]:
    """The network of a transformers checkpoint, and the names of its weights that are not there."""
    from transformers import AutoModel

    how = {"weights_only": True, "output_loading_info": True}
    network, info = _from_transformers(cls or AutoModel, spec, "a network", part, **how)
    return network, sorted(info["missing_keys"])


def _and_more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def image_processor(spec: str, part: str = "") -> Any:
    """The image processor of a transformers checkpoint, or of a `part` of a pipeline."""
    from transformers import AutoImageProcessor

    place = Path(locate(spec, "sd" if part else "clip")) / part
    if place.is_dir() and not any((place / name).is_file() for name in PROCESSORS):
        raise ModelError(f"{spec} has no {PROCESSORS[0]}, which says how images are prepared: fetch it whole")
    return _from_transformers(AutoImageProcessor, spec, "an image processor", part)


def tokenizer(spec: str) -> Any:
    """The text tokenizer of a transformers checkpoint."""
    from transformers import AutoTokenizer

    found = _from_transformers(AutoTokenizer, spec, "a tokenizer")
    check_tokenizer(found, spec)
    return found


def check_tokenizer(found: Any, spec: str, part: str = "tokenizer") -> None:
    """ModelError for a tokenizer without its vocabulary, which the libraries make up: all texts are alike to it."""
    one, other = found(["cat", "dog"]).input_ids
    if one == other:
        raise ModelError(
            f"{spec} has no vocabulary for its {part}, which reads all texts alike: fetch the tokenizer's files "
            "(tokenizer.json, or vocab.json and merges.txt)"
        )


def _from_transformers(loader: Any, spec: str, what: str, part: str = "", **arguments: bool) -> Any:
    place, where = locate(spec, "sd" if part else "clip"), {"subfolder": part} if part else {}
    where |= pinned(spec)
    if Path(place).is_dir() and not part:
        _check_folder(Path(place), spec)
    return read(lambda: loader.from_pretrained(place, trust_remote_code=False, **where, **arguments), spec, what)


def _check_folder(folder: Path, spec: str) -> None:
    """A folder that is no transformers checkpoint is named, before the library says something else of it."""
    if (folder / "open_clip_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(f"{spec} is a checkpoint of open_clip, which is not read: give one of transformers")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{spec} is not a checkpoint folder: it has no config.json")
    if not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        raise ModelError(f"{spec} is not a checkpoint folder: it has no model.safetensors")
