"""The shipped weights: found by name, in their libraries' own formats, small enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open

from imaginate import nano
from imaginate.errors import ModelError
from imaginate.models.weights import weights_of
from imaginate.nano.training import ship

ROOT = Path(__file__).resolve().parents[2]


def test_names_and_labels() -> None:
    assert nano.NAMES == ("clip", "mae", "sd", "unclip")
    assert len(set(nano.labels())) == 200
    assert nano.labels()[0] == "goldfish"


def test_an_unknown_name_is_one_clear_line() -> None:
    with pytest.raises(ModelError, match="nano model must be one of clip, mae, sd, unclip, got dalle"):
        nano.path("dalle")


def test_absent_weights_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nano, "weights", lambda: tmp_path)
    with pytest.raises(ModelError, match="nano model clip has no weights"):
        nano.path("clip")


def test_a_shared_tower_is_the_one_of_nano_clip() -> None:
    for name, parts in nano.SHARED.items():
        for part, source in parts.items():
            index = json.loads((nano.path(name) / part / "model.safetensors.index.json").read_text(encoding="utf-8"))
            with safe_open(nano.weights() / source, framework="pt") as file:
                assert index["weight_map"] == dict.fromkeys(file.keys(), f"../../{source}")
        own = (nano.path(name) / "tokenizer" / "tokenizer.json").read_bytes()
        assert own == (nano.path("clip") / "tokenizer.json").read_bytes()


def test_a_shared_tower_counts_in_the_hash_of_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sd" / "text_encoder"
    folder.mkdir(parents=True)
    (tmp_path / "sd" / "model_index.json").write_text("{}")
    (tmp_path / "clip").mkdir()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": f"../../{nano.TEXT}"}}))
    monkeypatch.setattr(nano, "weights", lambda: tmp_path)
    hashes = []
    for content in (b"one", b"other"):
        (tmp_path / nano.TEXT).write_bytes(content)
        hashes.append((weights_of("nano", "sd") or {})["hash"])
    assert hashes[0] != hashes[1]
    for damaged in ("{", "[]", '{"weight_map": 1}', "null"):
        (folder / "model.safetensors.index.json").write_text(damaged)
        assert (weights_of("nano", "sd") or {})["hash"]


def test_towers_are_split_and_joined_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from safetensors.torch import save_file

    monkeypatch.setattr(nano, "weights", lambda: tmp_path)
    vision, text = (
        {"vision_model.a": torch.rand(2), "visual_projection.weight": torch.rand(1)},
        {"text_model.b": torch.rand(3)},
    )
    for folder in ("clip", "sd/text_encoder", "unclip/image_encoder"):
        (tmp_path / folder).mkdir(parents=True)
    save_file({**vision, **text, "logit_scale": torch.rand(1)}, tmp_path / "clip/model.safetensors")
    save_file(text, tmp_path / "sd/text_encoder/model.safetensors")
    other = {**vision, "vision_model.a": torch.rand(2)}
    save_file(other, tmp_path / "unclip/image_encoder/model.safetensors")
    ship.split_towers(tmp_path / "clip")
    ship.share_towers(tmp_path / "sd")
    ship.share_towers(tmp_path / "unclip")
    assert not (tmp_path / "sd/text_encoder/model.safetensors").exists()
    index = json.loads((tmp_path / "sd/text_encoder/model.safetensors.index.json").read_text(encoding="utf-8"))
    assert index["weight_map"] == {"text_model.b": f"../../{nano.TEXT}"}
    assert (tmp_path / "unclip/image_encoder/model.safetensors").exists()  # it differs, so it is kept
    files = {file.name for file in (tmp_path / "clip").iterdir()}
    assert files == {"model.safetensors.index.json", *(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3))}


def test_weights_are_files_and_no_links() -> None:
    assert [file for file in nano.weights().rglob("*") if file.is_symlink()] == []


def test_weights_are_at_most_80_mb() -> None:
    assert sum(f.stat().st_size for f in nano.weights().rglob("*") if f.is_file()) <= 80_000_000


@pytest.mark.parametrize("name", nano.NAMES)
def test_each_has_a_card_with_its_numbers(name: str) -> None:
    card = (nano.path(name) / "README.md").read_text(encoding="utf-8")
    for heading in ("## Measured", "## Data and licence", "## Training"):
        assert heading in card


def test_nothing_shipped_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w./~-])/(root|home|tmp|work|mnt)/|_name_or_path|load.average", re.IGNORECASE)
    folders = [nano.weights().parent, *(ROOT / part for part in ("benchmarks/results", "docs"))]
    files = [f for folder in folders for kind in ("*.json", "*.md") for f in sorted(folder.rglob(kind))]
    assert len(files) > 25
    assert [(f.name, hit.group()) for f in files for hit in [place.search(f.read_text(encoding="utf-8"))] if hit] == []


def test_shipping_forgets_where_a_model_was_loaded_from(tmp_path: Path) -> None:
    kept = {"_class_name": "AutoencoderKL", "text_config": {"hidden_size": 8}, "sizes": [1, 2]}
    there = {"_name_or_path": "/any/where", **kept, "text_config": {"_name_or_path": "", "hidden_size": 8}}
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps(there), encoding="utf-8")
    (tmp_path / "other.json").write_text("[ 1,2]", encoding="utf-8")
    ship.forget_origin(tmp_path)
    assert json.loads((tmp_path / "vae" / "config.json").read_text(encoding="utf-8")) == kept
    assert (tmp_path / "other.json").read_text(encoding="utf-8") == "[ 1,2]", "other files keep their bytes"


def test_ship_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ship.main(["--help"])
    assert "RUNS/clip" in capsys.readouterr().out


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_every_model_loads_through_its_library_and_answers() -> None:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline, StableUnCLIPImg2ImgPipeline
    from PIL import Image
    from transformers import CLIPModel, CLIPProcessor, ViTMAEForPreTraining

    image = Image.new("RGB", (64, 64), (200, 40, 40))
    model = CLIPModel.from_pretrained(nano.path("clip"), dtype=torch.float32)
    processor = CLIPProcessor.from_pretrained(nano.path("clip"))
    scored = model(**processor(text=["a goldfish", "a snail"], images=image, return_tensors="pt", padding=True))
    assert scored.logits_per_image.shape == (1, 2)
    assert ViTMAEForPreTraining.from_pretrained(nano.path("mae")).config.image_size == 64
    rng = torch.Generator().manual_seed(0)
    for kind, inputs in (
        (StableDiffusionPipeline, {"prompt": "a photo of a goldfish"}),
        (StableDiffusionImg2ImgPipeline, {"prompt": "a photo of a goldfish", "image": image, "strength": 0.5}),
        (StableUnCLIPImg2ImgPipeline, {"image": image}),
    ):
        name = "unclip" if kind is StableUnCLIPImg2ImgPipeline else "sd"
        pipe = kind.from_pretrained(nano.path(name), torch_dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        assert pipe(**inputs, num_inference_steps=4, generator=rng).images[0].size == (64, 64)
