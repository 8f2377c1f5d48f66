"""Priors: the frozen generative models that imagine. One adapter for each family, one builder for all.

    mae               a ViTMAE autoencoder (transformers)             encode, decode
    stable-diffusion  SD 1.x, 2.x, SDXL, Turbo, LCM (diffusers)       encode, diffuse, decode
    image-to-image    SD3, FLUX.1, Z-Image, Qwen-Image, ... (diffusers)  the same, by the pipeline's own rules
    edit              InstructPix2Pix, FLUX.1 Kontext, ... (diffusers)   edit
    unclip            Karlo or SD 2.1 unCLIP (diffusers)              encode, generate

Each accepts a hub id, a folder in the library's own format, or `nano` for the bundled miniature of the family. A family
is one file here; `core/` is what they share.
"""

from __future__ import annotations

from imaginate import registry
from imaginate.contract import PriorFamily
from imaginate.errors import ConfigError
from imaginate.models.extras import check_installed
from imaginate.settings import nearest


def build_prior(
    family: str,
    spec: str,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    adaptation: str | None = None,
    compile: bool = False,
    vae: str | None = None,
) -> PriorFamily:
    """The prior `spec` ("nano", a folder or a hub id) of a family, frozen, on a device, its adaptation loaded.

    `vae`: an autoencoder in the place of its own: `tiny`, a folder or a hub id.
    `dtype` is float32, bfloat16 or float16; None means float32 on a CPU, bfloat16 on a GPU that has it, else float16.
    """
    known = registry.names("priors")
    if family not in known:
        raise ConfigError(f"prior family must be one of {', '.join(known)}, got {family!r}{nearest(family, known)}")
    check_installed(f"prior {spec}", [f"prior:{family}"])
    family = _driver(family, spec)
    prior = registry.find("priors", family).load(spec, device=device, dtype=dtype)
    if vae is not None:
        from imaginate.models.priors.core.autoencoders import put_autoencoder

        put_autoencoder(prior, vae)
    if adaptation is not None:
        prior.load_adaptation(adaptation)
    if compile:
        prior.compile()
    return prior


def _driver(family: str, spec: str) -> str:
    """The family that drives this checkpoint: methods of diffusion name Stable Diffusion, and take any pipeline."""
    if family != "stable-diffusion" or spec == "nano":
        return family
    from imaginate.models import checkpoints
    from imaginate.models.priors.core.pipelines import is_editor, is_given, is_stable_diffusion
    from imaginate.models.priors.core.whole import place_of
    from imaginate.models.single_file import is_single_file

    place = place_of(spec)
    index = checkpoints.pipeline_index(place if is_single_file(spec) else spec)
    is_own = index is None or is_stable_diffusion(index) or is_editor(index) or not is_given(index, "vae")
    return family if is_own else "image-to-image"
