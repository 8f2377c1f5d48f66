"""Settings that fit a checkpoint, where the papers' do not: read from its configuration files, before any weight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imaginate.models.hub import split_revision
from imaginate.models.priors.core.few_steps import UNGUIDED, FewSteps, in_adaptation, in_checkpoint
from imaginate.models.single_file import configuration_of, is_single_file

Settings = Mapping[str, Any]


def fitting_settings(spec: str, adaptation: str | None = None) -> Settings:
    """Defaults of steps, scale and scheduler for a checkpoint and the LoRA on it; empty where the papers' fit."""
    few = few_steps_of(spec, adaptation)
    return {**_of_flow(spec), **({} if few is None else few.settings)}


def few_steps_of(spec: str, adaptation: str | None = None) -> FewSteps | None:
    """What was made for few steps, the LoRA or the checkpoint; None where neither says so."""
    base = _of_flow(spec)
    if "steps" in base:
        return None  # FLUX.1 schnell: known by its own configuration
    is_embedded = bool(base) and bool(_config(spec, "transformer/config.json").get("guidance_embeds"))
    scale = float(base["guidance_scale"]) if is_embedded else UNGUIDED
    found = in_adaptation(adaptation, is_flow=bool(base), scale=scale) if adaptation else None
    return found or in_checkpoint(spec, lambda name: _config(spec, name), scale=scale)


def _of_flow(spec: str) -> Settings:
    """Defaults for a pipeline of flow matching; empty for any other.

    Flow matching has no table of noise levels, so the papers' schedulers do not fit. FLUX.1 schnell was distilled for
    four steps without a guidance scale; FLUX.1 dev takes the scale as an input, and 3.5 is what it is published with.
    """
    index = _config(spec, "model_index.json")
    scheduler = index.get("scheduler") or [None, ""]
    if not str(scheduler[1]).startswith("FlowMatch"):
        return {}
    name = str(index.get("_class_name"))
    if not name.startswith("Flux"):
        return {"scheduler": None, **({"guidance_scale": 4.0} if name.startswith("QwenImage") else {})}
    is_guided = bool(_config(spec, "transformer/config.json").get("guidance_embeds"))
    scale: Settings = {"guidance_scale": 3.5} if is_guided else {"guidance_scale": 1.0, "steps": 4}
    return {"scheduler": None, **scale}


def _config(spec: str, name: str) -> dict[str, Any]:
    """A configuration file of a folder or a hub id; empty where there is none, where it cannot be had, and of a bundled
    model, which the papers' settings fit."""
    if spec == "nano":
        return {}
    folder = Path(spec).expanduser()
    if is_single_file(spec):
        folder = configuration_of(spec)
    file = folder / name if folder.is_dir() else _from_hub(spec, name)
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _from_hub(spec: str, name: str) -> Path | None:
    """A file of a hub id: whoever reads the checkpoint next says why it cannot be had."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    try:
        repository, revision = split_revision(spec)
        return Path(hf_hub_download(repository, name, revision=revision or None))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return None
