"""A whole pipeline in one file of weights draws what its folder draws; what is no whole pipeline is one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from imaginate.errors import ModelError
from imaginate.models.priors import build_prior
from imaginate.models.weights import weights_of
from support.one_file import configuration, tiny_one_file, tiny_sd3_file, tiny_sdxl_file
from tiny_flow import tiny_flux


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file with its configuration next to it, and the folder of the same weights."""
    file, whole = tiny_one_file(tmp_path_factory.mktemp("one"))
    configuration(whole, file.with_suffix(""))
    return file, whole


def test_it_draws_what_its_folder_draws(there: tuple[Path, Path]) -> None:
    file, whole = there
    drawn = []
    for spec in (file, whole):
        prior = build_prior("stable-diffusion", str(spec))
        how = {"strength": 1.0, "guidance_scale": 2.0, "steps": 2, "seeds": [1]}
        drawn.append(prior.decode(prior.diffuse(None, ["a cat"], **how)))
    assert torch.equal(*drawn)
    known = weights_of(str(file), "stable-diffusion")
    assert known is not None
    assert set(known) == {"id", "hash"}


def drawn(spec: Path) -> torch.Tensor:
    prior = build_prior("stable-diffusion", str(spec))
    how = {"strength": 1.0, "guidance_scale": 2.0, "steps": 2, "seeds": [1]}
    return prior.decode(prior.diffuse(None, ["a cat"], **how))


@pytest.mark.parametrize("build", [tiny_sdxl_file, tiny_sd3_file])
def test_files_of_sdxl_and_sd3_draw_what_their_folders_draw(
    build: Callable[[Path], tuple[Path, Path]], tmp_path: Path
) -> None:
    file, whole = build(tmp_path)
    configuration(whole, file.with_suffix(""))
    assert torch.allclose(drawn(file), drawn(whole), atol=1e-5)


def test_what_a_file_lacks_is_taken_from_the_folder_next_to_it(tmp_path: Path) -> None:
    """SD3 without its third text encoder, as it was published; FLUX.1's denoiser alone."""
    file, whole = tiny_sd3_file(tmp_path, t5=False)
    place = configuration(whole, file.with_suffix(""))
    with pytest.raises(ModelError, match=r"all parts of a StableDiffusion3Pipeline: it lacks the text_encoder_3") as no:
        build_prior("stable-diffusion", str(file))
    assert "\n" not in str(no.value)
    index = (place / "model_index.json").read_text()
    less = {**json.loads(index), "text_encoder_3": [None, None], "tokenizer_3": [None, None]}
    (place / "model_index.json").write_text(json.dumps(less))
    assert not torch.allclose(drawn(file), drawn(whole), atol=1e-5)
    (place / "model_index.json").write_text(index)
    shutil.copytree(whole / "text_encoder_3", place / "text_encoder_3", dirs_exist_ok=True)
    assert torch.allclose(drawn(file), drawn(whole), atol=1e-5)
    whole = tiny_flux(tmp_path / "flux")
    place = configuration(whole, tmp_path / "alone")
    shutil.copyfile(whole / "transformer" / "diffusion_pytorch_model.safetensors", tmp_path / "alone.safetensors")
    for part in ("text_encoder", "text_encoder_2", "vae"):
        with pytest.raises(ModelError, match=rf"parts of a FluxPipeline: it lacks the {part}, "):
            build_prior("stable-diffusion", str(tmp_path / "alone.safetensors"))
        shutil.copytree(whole / part, place / part, dirs_exist_ok=True)
    assert torch.equal(drawn(tmp_path / "alone.safetensors"), drawn(whole))


def test_what_is_no_whole_pipeline_is_one_line(there: tuple[Path, Path], tmp_path: Path) -> None:
    tensors = load_file(str(there[0]))

    def said(name: str, kept: dict[str, torch.Tensor]) -> str:
        file = tmp_path / f"{name}.safetensors"
        save_file(kept, str(file))
        configuration(there[1], tmp_path / name)
        with pytest.raises(ModelError) as error:
            build_prior("stable-diffusion", str(file))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "is a LoRA, not a whole model: give it as --adaptation" in said(
        "lora", {"unet.x.lora_A.weight": torch.ones(1)}
    )
    assert "holds no whole model (only <w>" in said("word", {"<w>": torch.ones(3)})
    without = {name: value for name, value in tensors.items() if not name.startswith("cond_stage_model")}
    assert "does not hold all parts of a StableDiffusionPipeline" in said("textless", without)
    holed = {name: value for name, value in tensors.items() if "input_blocks.3.0.in_layers.2" not in name}
    assert "no weights for" in said("holed", holed)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(there[0].read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"is cut short \(1000 bytes are missing\): fetch it again"):
        build_prior("stable-diffusion", str(cut))
    pickled = tmp_path / "old.ckpt"
    pickled.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"old\.ckpt is pickled"):
        build_prior("stable-diffusion", str(pickled))


def test_without_a_configuration_it_says_whose_is_wanted(
    there: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(there[0].read_bytes())
    with pytest.raises(ModelError, match=r"that of stable-diffusion-v1-5/\S+, which cannot be had: put"):
        build_prior("stable-diffusion", str(alone))
