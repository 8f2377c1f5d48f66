"""Checkpoints and LoRAs that were made for few steps are found by what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from imaginate.models.priors.core import fitting
from imaginate.models.priors.core.fitting import few_steps_of, fitting_settings

SD = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"]}
FLUX = {"_class_name": "FluxPipeline", "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}
DDIM = {"_class_name": "DDIMScheduler", "timestep_spacing": "leading"}
TURBO = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing", "prediction_type": "epsilon"}
VELOCITY = {**TURBO, "_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction"}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
Checkpoint = Callable[..., str]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A pipeline's configuration, without weights."""

    def build(name: str, index: dict[str, Any], scheduler: dict[str, Any], **parts: dict[str, Any]) -> str:
        files = {"scheduler/scheduler_config": scheduler, "model_index": index}
        files |= {f"{part}/config": config for part, config in parts.items()}
        for file, value in files.items():
            place = tmp_path / name / f"{file}.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(value))
        return str(tmp_path / name)

    return build


def settings(steps: int, scale: float, scheduler: str | None) -> dict[str, Any]:
    return {"steps": steps, "guidance_scale": scale, "scheduler": scheduler}


def test_checkpoints(checkpoint: Checkpoint) -> None:
    lcm = {"_class_name": "LatentConsistencyModelPipeline", "scheduler": ["diffusers", "LCMScheduler"]}
    found = {
        "plain": (checkpoint("plain", SD, DDIM), {}),
        "turbo by its scheduler": (checkpoint("a", SD, TURBO), settings(4, 1.0, None)),
        "velocity from the very end is no turbo": (checkpoint("b", SD, VELOCITY), {}),
        "lcm by its pipeline": (checkpoint("c", lcm, {}), settings(4, 1.0, None)),
        "lcm by its input": (checkpoint("d", SD, DDIM, unet={"time_cond_proj_dim": 256}), settings(4, 8.0, None)),
        "by its name": (checkpoint("DreamShaperXL_Lightning", SD, DDIM), settings(4, 1.0, "euler-trailing")),
        "with its steps": (checkpoint("sdxl-lightning-8step", SD, DDIM), settings(8, 1.0, "euler-trailing")),
        "a flow keeps its scheduler": (checkpoint("Z-Image-Turbo", {**FLUX, "_class_name": "ZImagePipeline"}, FLOW),
                                       settings(4, 1.0, None)),
        "hyper is a word, not a part of one": (checkpoint("hyperreal-v2", SD, DDIM), {}),
    }  # fmt: skip
    assert {name: fitting_settings(spec) for name, (spec, _) in found.items()} == {
        name: expected for name, (_, expected) in found.items()
    }


def test_loras(checkpoint: Checkpoint, tmp_path: Path) -> None:
    base = checkpoint("base", SD, DDIM)
    flux = checkpoint("flux", FLUX, FLOW, transformer={"guidance_embeds": True})
    told = tmp_path / "my.safetensors"
    save_file({"unet.x.lora_A.weight": torch.ones(1)}, str(told), metadata={"ss_output_name": "pcm_hyper-4steps"})
    for adaptation, expected in {
        "latent-consistency/lcm-lora-sdv1-5": settings(4, 1.0, "lcm"),
        "style.safetensors:0.6+latent-consistency/lcm-lora-sdv1-5:0.9": settings(4, 1.0, "lcm"),
        "ByteDance/Hyper-SD/Hyper-SD15-1step-lora.safetensors": settings(2, 1.0, "ddim-trailing"),
        "ByteDance/SDXL-Lightning@main": settings(4, 1.0, "euler-trailing"),
        str(told): settings(4, 1.0, "ddim-trailing"),
        "somebody/style": {},
    }.items():
        assert fitting_settings(base, adaptation) == expected, adaptation
    assert fitting_settings(flux, "alimama/FLUX.1-Turbo-Alpha-8-steps") == settings(8, 3.5, None)
    assert str(few_steps_of(base, "a/lcm-lora")) == (
        "a/lcm-lora is made for few steps (lcm): --steps 4, --guidance-scale 1, --scheduler lcm, unless you give others"
    )


def test_a_recipe_takes_them_and_says_so_and_what_is_given_wins(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    from imaginate.data import DataSpec
    from imaginate.engine import resolve
    from imaginate.engine.recipe import Recipe, Roles

    resolve._say.cache_clear()
    base = checkpoint("one-turbo", SD, DDIM)
    recipe = Recipe(data=DataSpec(path="x"), method="sd", settings={"steps": 6}, roles=Roles(prior=base))
    method: Any = resolve._method_of(recipe)
    assert (method.steps, method.guidance_scale, method.scheduler) == (6, 1.0, "euler-trailing")
    said = [r.message for r in caplog.records if "few steps" in r.message]
    assert said == [
        f"{base} is made for few steps (turbo): --guidance-scale 1, --scheduler euler-trailing, unless you give others"
    ]


def test_a_bundled_model_asks_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_from_hub", lambda *asked: pytest.fail(f"the hub is asked for {asked}"))
    assert fitting_settings("nano") == {}
