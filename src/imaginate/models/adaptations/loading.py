"""What `imaginate fit` learnt, loaded into a prior: LoRA, whole parts, new words, conditioning vectors.

A folder may hold any of these, each in its library's own format (safetensors only):

    unet/ text_encoder/ vae/ decoder/   a part saved by `save_pretrained`, or a peft LoRA of it (adapter_config.json)
    pytorch_lora_weights.safetensors    a LoRA as diffusers' training scripts write it; a file of any name will do too
    learned_embeds.safetensors          textual inversion: token -> (n, width) or (width,). Of SDXL's two text encoders:
                                        clip_l and clip_g -> (n, width), or a second file, learned_embeds_2; of SD3's
                                and FLUX.1's, t5 too
    conditioning.safetensors            ready text embeddings: name -> (n, tokens, width)
    adaptation.json                     what the fit wrote about itself (technique, base, classes, words, ...)

The folder itself may be a part: `config.json` with a UNet, or `adapter_config.json` (then of the UNet). LoRAs of parts
and pytorch_lora_weights in one folder are the same thing in two forms (`imaginate fit` writes both): read once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from imaginate.contract import PriorFamily
from imaginate.errors import ModelError
from imaginate.limits import parse_json
from imaginate.models import hub
from imaginate.models.checkpoints import quiet, read
from imaginate.models.priors.core.text import WORD_TABLES, TextEncoders, word_tables

log = logging.getLogger("imaginate")

LORA = "pytorch_lora_weights.safetensors"
WEB_UI = "emb_params"  # the one tensor of a textual inversion as web interfaces write it; the file's name is the word
KNOWN_NAMES = (LORA, "learned_embeds.safetensors", "conditioning.safetensors", "adapter_model.safetensors")
EMBEDDINGS = {*WORD_TABLES, WEB_UI}
PARTS = (
    "unet", "text_encoder", "text_encoder_2", "text_encoder_3", "vae", "decoder", "image_encoder", "text_proj", "model",
    "transformer",
)  # fmt: skip


@runtime_checkable
class InPipeline(Protocol):
    """A prior whose networks are parts of a pipeline of diffusers."""

    pipe: Any


@runtime_checkable
class LoraPipeline(Protocol):
    """A pipeline of diffusers that reads LoRAs."""

    def load_lora_weights(self, folder: str, *, weight_name: str) -> None: ...
    def get_list_adapters(self) -> dict[str, list[str]]: ...
    def fuse_lora(self, *, components: list[str], lora_scale: float) -> None: ...
    def unload_lora_weights(self) -> None: ...


@runtime_checkable
class ReadsText(Protocol):
    """A prior with text encoders, to which words can be added."""

    text: TextEncoders


@dataclass(frozen=True)
class Adaptation:
    """What was loaded: where from, the fit's own notes, the new words (word -> its tokens) and conditioning vectors."""

    path: str
    about: Mapping[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    conditioning: dict[str, torch.Tensor] = field(default_factory=dict)
    parts: tuple[str, ...] = ()


def adapt(prior: PriorFamily, path: str) -> Adaptation:
    """Load a folder, a .safetensors file or a hub id into `prior.pipe` and its parts; ModelError where nothing fits.

    Several LoRAs are joined by +, each with its scale behind a colon: `style.safetensors:0.6+some/lcm-lora`.
    """
    joined = several(path)
    if joined is None:
        return _adapt_one(prior, path, 1.0)
    found = [_adapt_one(prior, name, scale) for name, scale in joined]
    words = {word: tokens for one in found for word, tokens in one.words.items()}
    return Adaptation(path, words=words, parts=tuple(part for one in found for part in one.parts))


def several(path: str) -> list[tuple[str, float]] | None:
    """The LoRAs of `a.safetensors:0.6+some/lora` and their scales; None for one without a scale."""
    if Path(path).expanduser().exists():
        return None
    found = []
    for item in path.split("+"):
        name, colon, scale = item.rpartition(":")
        is_scaled = bool(colon) and _is_number(scale)
        found.append((name, float(scale)) if is_scaled else (item, 1.0))
    return found if len(found) > 1 or found[0][0] != path else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _adapt_one(prior: PriorFamily, path: str, scale: float) -> Adaptation:
    place = _found(path)
    if scale != 1 and not (place.is_file() or (place / LORA).is_file()):
        raise ModelError(f"adaptation {path} is no LoRA in one file: only such take a scale, got {scale:g}")
    if place.is_file():
        return _from_file(prior, place, scale)
    about = _notes(place)
    parts = _load_parts(prior, place)
    if not any((place / part / "adapter_config.json").is_file() for part in parts):
        parts += _lora(prior, place / LORA, scale)
    words = _words(prior, place / "learned_embeds.safetensors")
    vectors = _tensors(place / "conditioning.safetensors")
    is_own = any((folder / "adaptation.json").is_file() for folder in (place, *place.parents[:2]))
    if not (parts or words or (vectors and is_own)):
        raise ModelError(f"adaptation {path} holds none of: {', '.join(PARTS)}, {LORA}, learned_embeds, conditioning")
    if not is_own:
        _say(place, words)
    return Adaptation(str(place), about, words, vectors, parts)


def _found(path: str) -> Path:
    """A folder or a file, or what a hub id has: a folder, the one file of weights in it, or the file that is named
    (`ID/FILE.safetensors`)."""
    place = Path(path).expanduser()
    if place.exists():
        return place
    name, revision = hub.split_revision(path)
    is_file = name.count("/") > 1 and name.endswith(".safetensors")
    front = "/".join(name.split("/")[:2])
    if (name.count("/") != 1 and not is_file) or path.startswith((".", "/", "~")) or Path(front).parent.exists():
        raise ModelError(f"adaptation not found: {path}")
    from huggingface_hub import hf_hub_download, snapshot_download

    if is_file:
        one = name.removeprefix(f"{front}/")
        return Path(read(lambda: hf_hub_download(front, one, revision=revision or None), path, "an adaptation"))

    wanted = ["*.safetensors", "*.json"]
    fetch = lambda: snapshot_download(name, revision=revision or None, allow_patterns=wanted)  # noqa: E731
    folder = Path(read(fetch, path, "an adaptation"))
    files = sorted(folder.glob("*.safetensors"))
    return files[0] if len(files) == 1 and files[0].name not in KNOWN_NAMES else folder


def _say(place: Path, words: Mapping[str, str]) -> None:
    """Words that no class has for a name change nothing by themselves."""
    if words:
        log.warning("%s has learned words: put %s into a prompt, or nothing changes", place, ", ".join(words.values()))


def _from_file(prior: PriorFamily, place: Path, scale: float) -> Adaptation:
    tensors = _tensors(place)
    if not tensors:
        raise ModelError(f"adaptation {place} holds nothing: nothing would change")
    if any("lora" in name for name in tensors):
        return Adaptation(str(place), parts=_lora(prior, place, scale))
    if all(value.ndim == 1 or "<" in name or name in EMBEDDINGS for name, value in tensors.items()):
        words = _words(prior, place)
        _say(place, words)
        return Adaptation(str(place), words=words)
    held = ", ".join(sorted(tensors)[:3])
    raise ModelError(f"adaptation {place} is no LoRA and holds no learned word, only {held}: nothing would change")


def _notes(place: Path) -> dict[str, Any]:
    file = place / "adaptation.json"
    notes: dict[str, Any] = parse_json(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return notes


def _load_parts(prior: PriorFamily, place: Path) -> tuple[str, ...]:
    found = [part for part in PARTS if (place / part).is_dir()]
    for part in found:
        _load_part(prior, part, place / part)
    if not found and ((place / "adapter_config.json").is_file() or (place / "config.json").is_file()):
        part = next(name for name in ("unet", "decoder", "model", "transformer") if name in prior.networks())
        _load_part(prior, part, place)
        found = [part]
    return tuple(found)


def _load_part(prior: PriorFamily, part: str, folder: Path) -> None:
    module: Any = prior.networks().get(part)
    if module is None:
        raise ModelError(f"adaptation {folder} is for a {part}, which {prior.name} does not have")
    if (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        adapted = read(lambda: PeftModel.from_pretrained(module, str(folder)), str(folder), f"a LoRA of {part}")
        fresh = adapted.merge_and_unload()
    else:
        fresh = read(lambda: type(module).from_pretrained(str(folder), use_safetensors=True), str(folder), f"a {part}")
        _same_shapes(module, fresh, folder)
    prior.put_network(part, fresh)


def _lora(prior: PriorFamily, file: Path, scale: float) -> tuple[str, ...]:
    """Merge a LoRA in diffusers' format into the pipeline's parts; ModelError where none of its tensors fits."""
    if not file.is_file():
        return ()
    pipe = prior.pipe if isinstance(prior, InPipeline) else None
    if not isinstance(pipe, LoraPipeline):
        raise ModelError(f"adaptation {file} is a LoRA of Stable Diffusion, {prior.name} is {prior.family}")
    tensors = _tensors(file)
    second = [
        value for name, value in tensors.items() if any(part in name for part in ("lora_B", "lora.up", "lora_up"))
    ]
    if second and not any(value.any() for value in second):
        raise ModelError(f"adaptation {file} changes nothing: the second matrix of every update is zero (untrained?)")
    try:
        with quiet():
            pipe.load_lora_weights(str(file.parent), weight_name=file.name)
    except (ValueError, KeyError, RuntimeError) as error:
        line = " ".join(str(error).split())[:160]
        raise ModelError(f"adaptation {file} does not fit this prior: {line}") from error
    adapted = [part for part, names in pipe.get_list_adapters().items() if names]
    if not adapted:
        raise ModelError(f"adaptation {file} does not fit this prior: it names no part of it")
    pipe.fuse_lora(components=adapted, lora_scale=scale)  # by itself, FLUX.1's leaves out the text encoder
    pipe.unload_lora_weights()
    return ("lora",)


def _same_shapes(old: Any, new: Any, folder: Path) -> None:
    before, after = old.state_dict(), new.state_dict()
    for name, tensor in before.items():
        if name not in after or after[name].shape != tensor.shape:
            raise ModelError(f"adaptation {folder} does not fit this prior: {name} differs")


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        return {}
    from safetensors.torch import load_file

    if wrong := hub.damaged_file(file):
        raise ModelError(f"cannot load tensors from {file}: {wrong}")
    found = read(lambda: load_file(str(file)), str(file), "tensors")
    for name, value in found.items():
        if not bool(value.float().isfinite().all()):
            raise ModelError(
                f"adaptation {file} has numbers that are not finite, in {name}: damaged, or training diverged"
            )
    return found


def _words(prior: PriorFamily, file: Path) -> dict[str, str]:
    """Add learned words to tokenizers and text encoders; n vectors become the tokens `word`, `word_1`, ..."""
    tensors, words = _tensors(file), dict[str, str]()
    if not tensors:
        return words
    if WEB_UI in tensors:
        tensors = {f"<{file.stem.strip('<>')}>": tensors[WEB_UI]}
    encoders = prior.text.parts if isinstance(prior, ReadsText) else {}
    own = {key: part for part, key in word_tables(encoders).items()}
    tables = {own.get(key, part): _named(file, tensors[key]) for key, part in WORD_TABLES.items() if key in tensors}
    if own and (lacking := [key for key in WORD_TABLES if key in tensors and key not in own]):
        part = WORD_TABLES[lacking[0]]
        raise ModelError(f"adaptation {file} has learned words for a {part} ({lacking[0]}), which {prior.name} lacks")
    if not tables:
        second = _tensors(file.with_stem(f"{file.stem}_2"))
        tables = {"text_encoder": tensors, **({"text_encoder_2": second} if second else {})}
    for part, learnt in tables.items():
        if part not in encoders:
            raise ModelError(f"adaptation {file} has learned words for a {part}, which {prior.name} does not have")
        words |= _add(*encoders[part], learnt, f"adaptation {file} does not fit this prior")
    return words


def _named(file: Path, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """SDXL's form holds no names: `imaginate fit` notes them in the file; elsewhere the file's name is the word."""
    from safetensors import safe_open

    try:
        with safe_open(str(file), framework="pt") as opened:
            names = parse_json((opened.metadata() or {}).get("tokens", "null"))
    except ValueError as error:
        raise ModelError(f"adaptation {file} is damaged: its tokens are no list ({error})") from None
    if names and (not isinstance(names, list) or len(names) != len(rows)):
        raise ModelError(f"adaptation {file} is damaged: it has {len(rows)} vectors, and its tokens are others")
    return dict(zip(names, rows, strict=True)) if names else {f"<{file.stem.strip('<>')}>": rows}


def _add(tokenizer: Any, encoder: Any, vectors: dict[str, torch.Tensor], blame: str) -> dict[str, str]:
    """New rows of one encoder's table, all at once: a thousand classes are a thousand words. Word -> its tokens."""
    words, learnt = {}, dict[str, torch.Tensor]()
    for word, value in vectors.items():
        rows = value[None] if value.ndim == 1 else value
        tokens = [word] + [f"{word}_{i}" for i in range(1, len(rows))]
        if rows.shape[1] != encoder.get_input_embeddings().weight.shape[1]:
            raise ModelError(f"{blame}: {word} has width {rows.shape[1]}")
        words[word] = " ".join(tokens)
        learnt.update(zip(tokens, rows, strict=True))
    tokenizer.add_tokens(list(learnt))
    if len(tokenizer) > len(encoder.get_input_embeddings().weight):  # T5's table has rows to spare
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    with torch.no_grad():
        table[tokenizer.convert_tokens_to_ids(list(learnt))] = torch.stack(list(learnt.values())).to(table)
    return words
