"""Another autoencoder in the place of a prior's own: a tiny one (TAESD and its kin), or one that was tuned further.

A tiny decoder is a few convolutions: guidance decodes at every step of its ascent, and backwards, so this is where its
time goes on a CPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imaginate.contract import PriorFamily
from imaginate.errors import ConfigError, ModelError
from imaginate.models.adaptations.loading import InPipeline
from imaginate.models.checkpoints import dtype_argument, freeze, locate, pinned, read
from imaginate.models.priors.core.codec import channels_of

# The tiny autoencoder of a kind of latents, by the beginning of the pipeline's class; the first that fits.
TINY = (
    ("StableDiffusionXL", "madebyollin/taesdxl"),
    ("StableDiffusion3", "madebyollin/taesd3"),
    ("StableDiffusion", "madebyollin/taesd"),
    ("LatentConsistency", "madebyollin/taesd"),
    ("Flux", "madebyollin/taef1"),
    ("ZImage", "madebyollin/taef1"),
)


def put_autoencoder(prior: PriorFamily, spec: str) -> None:
    """Load an autoencoder (`tiny`, an id, a folder) in the place of the prior's. ConfigError where it does not fit."""
    if not isinstance(prior, InPipeline) or prior.networks().get("vae") is None:
        raise ConfigError(f"{prior.name} ({prior.family}) has no autoencoder to replace: leave out --vae")
    old: Any = prior.networks()["vae"]
    name = _tiny(type(prior.pipe).__name__, prior.name) if spec == "tiny" else spec
    new = _load(name, old)
    kinds = [(channels_of(vae), len(vae.config.get("block_out_channels") or ())) for vae in (old, new)]
    if kinds[0] != kinds[1]:
        wanted, found = (f"{channels} channels at 1/{2 ** (blocks - 1)}" for channels, blocks in kinds)
        raise ConfigError(f"autoencoder {name} does not fit {prior.name}: {found} of the size, not {wanted}")
    prior.put_network("vae", freeze(new, prior.device, old.dtype))


def _tiny(pipeline: str, name: str) -> str:
    found = next((known for kind, known in TINY if pipeline.startswith(kind)), None)
    if found is None:
        raise ConfigError(f"no tiny autoencoder is known for {name} ({pipeline}): name one by --vae ID-or-FOLDER")
    return found


def _load(spec: str, old: Any) -> Any:
    """An autoencoder of diffusers; of a pipeline's folder, its own."""
    from diffusers import AutoModel

    place = locate(spec, "sd", missing="autoencoder not found")
    inside = {"subfolder": "vae"} if (Path(place) / "model_index.json").is_file() else {}
    how = {**dtype_argument(old.dtype), **pinned(spec), **inside}
    load: Any = AutoModel.from_pretrained
    found = read(lambda: load(place, use_safetensors=True, **how), spec, "an autoencoder")
    if "scaling_factor" not in found.config:
        raise ModelError(f"{spec} is a {type(found).__name__}, not an autoencoder of images")
    return found
