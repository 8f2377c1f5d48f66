"""Checkpoints and adaptations that are spoilt, or meant for another model: each is one line that says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
import tiny_flow
from imaginate.errors import ModelError
from imaginate.models.guides import build_guide
from imaginate.models.priors import build_prior
from imaginate.records import LabelSpace

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
UNET, ONE = "unet/diffusion_pytorch_model.safetensors", "model.safetensors"
BUILD = {
    "clip": tiny.tiny_clip, "sd": tiny.tiny_sd, "mae": tiny.tiny_mae, "unclip": tiny.tiny_unclip,
    "xl": tiny.tiny_sdxl, "flux": tiny_flow.tiny_flux,
}  # fmt: skip
LORA = {
    "unet": "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "transformer": "transformer.transformer_blocks.0.attn.to_q",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root, built = tmp_path_factory.mktemp("whole"), dict[str, Path]()

    def of(kind: str) -> Path:
        if kind not in built:
            built[kind] = BUILD[kind](root / kind)
        return built[kind]

    return of


def load(kind: str, folder: Path) -> Any:
    if kind == "clip":
        return build_guide(f"clip:{folder}", LabelSpace.of(["ant", "bee"]))
    return build_prior({"mae": "mae", "unclip": "unclip"}.get(kind, "stable-diffusion"), str(folder))


def remove(folder: Path, name: str) -> None:
    shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def shorten(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def point(folder: Path, name: str) -> None:
    (folder / name).write_text(POINTER)


def pickle(folder: Path, name: str) -> None:
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_suffix(".bin"))


def drop(folder: Path, name: str) -> None:
    """Leave out the weights whose name has what is behind the colon."""
    file, _, word = name.partition(":")
    kept = {key: value for key, value in load_file(str(folder / file)).items() if word not in key}
    save_file(kept, str(folder / file), {"format": "pt"})


def lose_shard(folder: Path, name: str) -> None:
    """Two shards by the index, the first of which is there."""
    weights, file = load_file(str(folder / name)), folder / name
    names = sorted(weights)
    first = dict.fromkeys(names[: len(names) // 2], f"{file.stem}-00001-of-00002.safetensors")
    second = dict.fromkeys(names[len(names) // 2 :], f"{file.stem}-00002-of-00002.safetensors")
    save_file({key: weights[key] for key in first}, str(file.with_name(next(iter(first.values())))), {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": first | second}
    file.with_name(f"{file.name}.index.json").write_text(json.dumps(index))
    file.unlink()


CASES = [
    ("sd", remove, "vae", "no file named config.json"),
    ("sd", remove, "tokenizer", "has no vocabulary for its tokenizer, which reads all texts alike"),
    ("sd", remove, "text_encoder", "no file named model.safetensors"),
    ("sd", remove, "model_index.json", "no file named model_index.json"),
    ("sd", shorten, UNET, "is cut short .100 bytes are missing.: fetch it again"),
    ("sd", shorten, "model_index.json", "is not a valid JSON file"),
    ("sd", point, "vae/diffusion_pytorch_model.safetensors", "is a pointer of Git LFS, not the weights"),
    ("sd", point, "tokenizer/tokenizer.json", "tokenizer.json is a pointer of Git LFS, not the file"),
    ("sd", pickle, "", "it has only pickled weights, which are not read"),
    ("sd", lose_shard, UNET, "diffusion_pytorch_model-00002-of-00002.safetensors"),
    ("sd", lose_shard, f"text_encoder/{ONE}", "model-00002-of-00002.safetensors"),
    ("xl", drop, f"text_encoder_2/{ONE}:text_projection", "no weights for text_projection.weight of its text_en"),
    ("flux", remove, "transformer/diffusion_pytorch_model.safetensors", "no file named diffusion_pytorch_model"),
    ("unclip", drop, f"image_encoder/{ONE}:visual_projection", "no weights for visual_projection.weight of its image_"),
    ("mae", pickle, "", "it has only pickled weights, which are not read"),
    ("mae", drop, f"{ONE}:decoder", "no weights for decoder"),
    ("clip", drop, f"{ONE}:text_projection", "no weights for text_projection.weight"),
    ("clip", remove, "tokenizer.json", "has no vocabulary for its tokenizer, which reads all texts alike"),
    ("clip", remove, "preprocessor_config.json", "has no preprocessor_config.json, which says how images are prepared"),
    ("clip", point, ONE, "is a pointer of Git LFS, not the weights"),
    ("clip", lose_shard, ONE, "model-00002-of-00002.safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spoil", "name", "words"), CASES)
def test_a_spoilt_checkpoint_is_one_line(
    kind: str, spoil: Callable[[Path, str], None], name: str, words: str, place: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(place(kind), tmp_path / "spoilt"))
    spoil(folder, name)
    with pytest.raises(ModelError, match=words) as error:
        load(kind, folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value).replace(str(tmp_path), "")) < 400


def lora(of: str, width: int = 16) -> dict[str, torch.Tensor]:
    return {
        f"{LORA[of]}.lora_A.weight": torch.ones(2, width), f"{LORA[of]}.lora_B.weight": torch.ones(width, 2)
    }  # fmt: skip


WORD = {"<cat>": torch.ones(1, 16)}
ADAPTATIONS = [
    ("sd", {}, "holds nothing: nothing would change"),
    ("sd", {"encoder.weight": torch.ones(2, 2)}, "is no LoRA and holds no learned word, only encoder.weight"),
    ("sd", {"<cat>": torch.ones(1, 768)}, "does not fit this prior: <cat> has width 768"),
    ("sd", {"clip_l": torch.ones(1, 16), "clip_g": torch.ones(1, 16)}, "learned words for a text_encoder_2"),
    ("mae", WORD, "has learned words for a text_encoder, which .* does not have"),
    ("unclip", WORD, "has learned words for a text_encoder, which .* does not have"),
    ("sd", lora("transformer"), "does not fit this prior: it names no part of it"),
    ("xl", lora("transformer"), "does not fit this prior: it names no part of it"),
    ("flux", lora("unet"), "does not fit this prior: it names no part of it"),
    ("mae", lora("unet"), "is a LoRA of Stable Diffusion, .* is mae"),
    ("sd", lora("unet", 24), r"does not fit this prior: .*size mismatch"),
    ("sd", {key: value * torch.nan for key, value in lora("unet").items()}, "has numbers that are not finite"),
]


@pytest.mark.parametrize(("kind", "tensors", "words"), ADAPTATIONS)
def test_an_adaptation_that_fits_nothing_is_one_line(
    kind: str, tensors: dict[str, torch.Tensor], words: str, place: Callable[[str], Path], tmp_path: Path
) -> None:
    save_file(tensors, str(tmp_path / "a.safetensors"))
    prior = load(kind, place(kind))
    with pytest.raises(ModelError, match=words) as error:
        prior.load_adaptation(str(tmp_path / "a.safetensors"))
    assert "\n" not in str(error.value)


def test_an_adaptation_that_did_not_arrive_is_one_line(place: Callable[[str], Path], tmp_path: Path) -> None:
    prior, file = load("sd", place("sd")), tmp_path / "a.safetensors"
    file.write_text(POINTER)
    with pytest.raises(ModelError, match="is a pointer of Git LFS, not the weights"):
        prior.load_adaptation(str(file))
    save_file(WORD, str(file))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"is cut short \(8 bytes are missing\)"):
        prior.load_adaptation(str(file))
