"""Few-step checkpoints and LoRAs: LCM, Turbo, Lightning, Hyper and their kin, and the settings that each was made for.

They are found by what a checkpoint says of itself (its pipeline, its scheduler), else by the words of its name or of
the notes in a LoRA's file: nothing else tells a distilled network from the one that it was made of. With the papers'
fifty steps and a scale of 8 such a network burns its pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]
Config = Callable[[str], Mapping[str, Any]]  # the name of a configuration file -> what is in it

# Scheduler, steps at strength 1 and guidance scale, as published. `own`: the checkpoint's own scheduler.
KINDS: dict[str, tuple[str, int]] = {
    "lcm": ("lcm", 4),
    "dmd2": ("lcm", 4),
    "tcd": ("tcd", 4),
    "lightning": ("euler-trailing", 4),
    "hyper": ("ddim-trailing", 8),
    "turbo": ("euler-trailing", 4),
    "flash": ("lcm", 4),
}
TITLES = ("ss_output_name", "modelspec.title", "name", "model_name")  # notes of training scripts in a LoRA's file
EMBEDDED = 8.0  # the scale that an LCM with the scale as an input is published with
UNGUIDED = 1.0


@dataclass(frozen=True)
class FewSteps:
    """What was found: where, which kind, and the settings that fit it."""

    where: str
    kind: str
    settings: Settings

    def only(self, names: Collection[str]) -> FewSteps:
        """Of the settings, those with these names."""
        return replace(self, settings={name: value for name, value in self.settings.items() if name in names})

    def __str__(self) -> str:
        said = ", ".join(f"--{name.replace('_', '-')} {_word(value)}" for name, value in self.settings.items())
        return f"{self.where} is made for few steps ({self.kind}): {said}, unless you give others"


def in_checkpoint(spec: str, read: Config, *, scale: float = UNGUIDED) -> FewSteps | None:
    """Of a whole pipeline, by its configuration, else its name."""
    index = read("model_index.json")
    if not index:
        return None
    own, unet = read("scheduler/scheduler_config.json"), read("unet/config.json")
    if unet.get("time_cond_proj_dim") is not None:
        return _found(spec, "lcm", scheduler=None, scale=EMBEDDED)
    if str(index.get("_class_name")).startswith("LatentConsistency") or own.get("_class_name") == "LCMScheduler":
        return _found(spec, "lcm", scheduler=None)
    is_flow = str(own.get("_class_name")).startswith("FlowMatch")
    named = _kind(_name(spec))
    if named is None:
        return _found(spec, "turbo", scheduler=None) if _is_turbo(own) else None
    is_own = is_flow or own.get("timestep_spacing") == "trailing"
    return _found(spec, named, name=_name(spec), scale=scale, **({"scheduler": None} if is_own else {}))


def in_adaptation(path: str, *, is_flow: bool, scale: float = UNGUIDED) -> FewSteps | None:
    """Of the LoRAs in an adaptation: by the words of their names, else of the notes in their files."""
    for item in path.split("+"):
        front, _, last = item.rpartition(":")
        one = front if front and re.fullmatch(r"[\d.]+", last) else item
        for text in (_name(one), _notes(Path(one).expanduser())):
            if kind := _kind(text):
                return _found(one, kind, name=text, scale=scale, **({"scheduler": None} if is_flow else {}))
    return None


def _found(where: str, kind: str, *, name: str = "", scale: float = UNGUIDED, **more: Any) -> FewSteps:
    scheduler, steps = KINDS[kind]
    counted = re.search(r"(\d+)[-_ ]?steps?\b", name.lower().replace("_", "-"))
    steps = max(2, int(counted[1])) if counted else steps  # one step leaves none at strength 0.5
    return FewSteps(where, kind, {"steps": steps, "guidance_scale": scale, "scheduler": scheduler, **more})


def _is_turbo(own: Mapping[str, Any]) -> bool:
    """Whether a scheduler is that of SD and SDXL Turbo: Euler's, from the very end, on a plain table."""
    plain = own.get("prediction_type", "epsilon") == "epsilon" and not own.get("rescale_betas_zero_snr")
    return plain and own.get("timestep_spacing") == "trailing" and str(own.get("_class_name")).startswith("Euler")


def _kind(text: str) -> str | None:
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower()))
    return next((kind for kind in KINDS if kind in words), None)


def _name(spec: str) -> str:
    """What a checkpoint is called: the name of a folder or a file; of a hub id, all behind its owner."""
    place = Path(spec).expanduser()
    if place.exists() or spec.startswith((".", "/", "~")):
        return place.stem if place.suffix == ".safetensors" else place.name
    return spec.partition("@")[0].partition("/")[2].removesuffix(".safetensors")


def _notes(file: Path) -> str:
    """The titles that training scripts write into a file of safetensors."""
    if file.suffix != ".safetensors" or not file.is_file():
        return ""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as opened:
            notes = opened.metadata() or {}
    except (SafetensorError, OSError):
        return ""  # whoever reads its weights says what is wrong
    return " ".join(notes.get(title, "") for title in TITLES).strip()


def _word(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
